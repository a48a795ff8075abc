"""How hard a request is: the examples of the tutorials, and the laws of the sum."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.routing.complexity import tongues, words
from daemon.routing.complexity.features import Asked, asked_of
from daemon.routing.complexity.heuristic import classify
from daemon.routing.complexity.signals import ALL
from daemon.routing.complexity.tiers import Borders, Tier
from probes.surfaces import Surface

EXAMPLES = {
    "What is Python?": Tier.SIMPLE,
    "Compare microservices vs monolith trade-offs": Tier.COMPLEX,
    "Translate 'hello' to Spanish": Tier.SIMPLE,
    "Debug this recursive function and explain why it stack overflows": Tier.COMPLEX,
    "List the top 5 Python web frameworks": Tier.SIMPLE,
    "Is this email spam? 'Congratulations you won!'": Tier.SIMPLE,
    "Summarize this 500-word article about renewable energy": Tier.MODERATE,
    "Analyze the trade-offs between microservices and monolith architectures for a 10-person startup": Tier.COMPLEX,
    "Design a microservices architecture for a bank": Tier.COMPLEX,
    "Design a microservices architecture": Tier.COMPLEX,
    "What is 2 + 2?": Tier.SIMPLE,
    "What is 2+2?": Tier.SIMPLE,
}
KNOWN_WORDS = [
    *words.DEMANDS,
    *words.ANYWHERE,
    *words.OPENINGS,
    *words.PAIRS,
    *tongues.DEMANDS_ABROAD,
    *tongues.UNSPACED,
]
TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(st.sampled_from([*KNOWN_WORDS, ",", "\n", "x:", "'", "`"]), max_size=40).map(" ".join),
)
ASKED = st.builds(
    Asked,
    text=TEXTS,
    characters=st.integers(0, 10_000),
    turns=st.integers(0, 9),
    tools=st.integers(0, 3),
    tool_results=st.integers(0, 3),
    images=st.integers(0, 3),
    schema=st.booleans(),
    thinking=st.booleans(),
    max_tokens=st.none() | st.integers(0, 5000),
)
SAID = re.compile(r"\d+ words \([+-][\d.]+\)")


def _tier(text: str) -> Tier:
    return classify(Asked(text=text, characters=len(text), turns=1)).tier


@pytest.mark.parametrize(("text", "tier"), EXAMPLES.items())
def test_the_tutorials_examples_land_on_the_tiers_that_they_give(text: str, tier: Tier) -> None:
    """Five queries of one tutorial, three of another, and what the others call hard."""
    assert _tier(text) is tier


def test_a_greeting_makes_no_demand_easier() -> None:
    """Politeness costs nothing."""
    assert _tier("Hello there") is Tier.SIMPLE
    assert _tier("Hello, please design a payment system for three banks") is Tier.COMPLEX


def test_a_recursive_fibonacci_is_easy() -> None:
    """A function that everybody has seen needs no strong model, whatever its name sounds like."""
    assert _tier("Write a recursive Fibonacci function") is not Tier.COMPLEX


@pytest.mark.parametrize(
    "text",
    [
        "What is the design of my logo file called?",
        "Translate 'analyze and compare the architecture' to French",
        "Classify this ticket as bug or wish: please review and debug the design, then compare trade-offs",
        "Extract the names:\nAnn shall analyze the logs\nBo shall prove the lemma\nthen both debug",
    ],
)
def test_hard_words_in_what_is_given_make_nothing_hard(text: str) -> None:
    """A noun, a quotation and the material behind a colon or below a line are not demands."""
    assert _tier(text) is Tier.SIMPLE


def test_a_demand_in_the_last_line_is_heard_below_its_material() -> None:
    """People also give the material first."""
    material = "The committee met in May.\nIt talked about the budget.\n"
    assert _tier(f"{material}Analyze which of its premises fail, and prove your point.") is Tier.COMPLEX
    assert _tier(f"{material}Question: who met in May?") is Tier.SIMPLE


def test_a_hard_demand_behind_an_easy_one_counts() -> None:
    """To list is easy; to list and prove is not."""
    assert _tier("List all primes p such that p + 2 is a square, and prove that there are no others.") is Tier.COMPLEX


@pytest.mark.parametrize(
    ("text", "tier"),
    [
        ("Wie heißt die Hauptstadt von Peru?", Tier.SIMPLE),
        ("Beweise, dass es unendlich viele Primzahlen gibt.", Tier.COMPLEX),
        ("Explique la photosynthèse à un enfant de dix ans.", Tier.MODERATE),
        ("Diseña un sistema de pagos y analiza sus riesgos.", Tier.COMPLEX),
        ("法国的首都是哪里", Tier.SIMPLE),
        ("请设计一个分布式缓存 并分析一致性的取舍。", Tier.COMPLEX),
    ],
)
def test_other_languages_are_heard(text: str, tier: Tier) -> None:
    """The commonest demands of a few languages, those without spaces included."""
    assert _tier(text) is tier


@given(ASKED)
def test_each_reason_is_made_of_our_own_words(asked: Asked) -> None:
    """A reason is a signal's or the number of words: the text reaches no history through it."""
    ours = {signal.reason for signal in ALL}
    assert all(reason in ours or SAID.fullmatch(reason) for reason in classify(asked).reasons)


@given(ASKED)
def test_the_score_is_the_sum_of_what_is_said(asked: Asked) -> None:
    """Whoever reads the reasons can add them up."""
    found = classify(asked)
    assert found.score == sum(float(reason.rpartition("(")[2].rstrip(")")) for reason in found.reasons)
    assert found == classify(asked)


@given(ASKED)
def test_no_shape_of_a_harder_request_lowers_the_score(asked: Asked) -> None:
    """JSON, tools, their results, images, effort and a longer conversation ask for no smaller model."""
    score = classify(asked).score
    assert classify(replace(asked, schema=True)).score >= score
    assert classify(replace(asked, thinking=True)).score >= score
    for name in ("tools", "tool_results", "images", "turns"):
        assert classify(replace(asked, **{name: getattr(asked, name) + 3})).score >= score


@given(ASKED, st.floats(-3, 3), st.floats(0, 5))
def test_raising_a_border_never_raises_a_tier(asked: Asked, moderate: float, width: float) -> None:
    """Thrift only ever sends less to the better models."""
    rank = list(Tier).index
    low = classify(asked, Borders(moderate, moderate + width)).tier
    high = classify(asked, Borders(moderate, moderate + width + 1)).tier
    assert rank(high) <= rank(low)


@given(st.binary(max_size=400), st.sampled_from(Surface))
@settings(max_examples=50)
def test_no_bytes_are_too_much(body: bytes, surface: Surface) -> None:
    """What is no request at all is classified like one that says nothing."""
    assert classify(asked_of(surface, body)).tier in Tier


def test_no_word_says_two_things_at_one_place() -> None:
    """A word that stood under two signals would silently mean the second."""
    tables = (words.DEMAND_WORDS, words.OPENING_WORDS, words.ANYWHERE_WORDS)
    for table in tables:
        counts = Counter(word for text in table.values() for word in text.split())
        assert [word for word, count in counts.items() if count > 1] == []


def test_every_signal_says_something_of_its_own_and_weighs_something() -> None:
    """Two signals with the same words could not be told apart in a reason."""
    assert len({signal.says for signal in ALL}) == len(ALL)
    assert all(signal.weight for signal in ALL)
