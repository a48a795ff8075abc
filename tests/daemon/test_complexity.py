"""Laws of judging how much of a model a request needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.routing.complexity.features import HEAD, TAIL, Asked, asked_of
from daemon.routing.complexity.heuristic import classify
from daemon.routing.complexity.tiers import Tier
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
}
CANARY = "zyxwcanary"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "type",
                    "text",
                    "messages",
                    "input",
                    "tools",
                    "system",
                    "instructions",
                    "format",
                    "response_format",
                    "max_tokens",
                    "user",
                    "tool_result",
                    "output_config",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


def _chat(content: Any, **more: Any) -> Asked:
    return asked_of(Surface.CHAT, msgspec.json.encode({"messages": [{"role": "user", "content": content}], **more}))


@pytest.mark.parametrize(("prompt", "tier"), EXAMPLES.items())
def test_well_known_examples_get_the_tier_that_people_expect(prompt: str, tier: Tier) -> None:
    """The examples that keyword routers are shown with."""
    assert classify(_chat(prompt)).tier is tier


def test_a_small_program_needs_no_best_model() -> None:
    """`write a` alone says little."""
    assert classify(_chat("Write a recursive Fibonacci function")).tier is not Tier.COMPLEX


@pytest.mark.parametrize(
    "verb", ["Translate to German", "Fix the spelling, return only the text", "Classify as a or b"]
)
def test_words_within_a_given_text_are_no_instruction(verb: str) -> None:
    """To translate a sentence about design takes no designer."""
    light = classify(_chat(f"{verb}: 'Analyze the trade-offs and design a distributed architecture'"))
    assert light.tier is not Tier.COMPLEX


@given(st.binary(max_size=300), st.sampled_from(Surface))
def test_any_bytes_can_be_judged(body: bytes, surface: Surface) -> None:
    """What cannot be read asks nothing."""
    assert classify(asked_of(surface, body)).tier in Tier


@given(JSON, JSON, st.sampled_from(Surface))
def test_any_json_can_be_judged_and_always_alike(messages: Any, more: Any, surface: Surface) -> None:
    """Whatever stands where messages should, nothing is raised, and nothing is left to chance."""
    body = msgspec.json.encode({"system": more, "tools": more, "messages": messages, "input": messages, "text": more})
    assert classify(asked_of(surface, body)) == classify(asked_of(surface, body))


def test_json_nested_too_deeply_asks_nothing() -> None:
    """A body made to exhaust the stack is bytes like any other."""
    assert asked_of(Surface.CHAT, b'{"messages":' + b"[" * 100_000) == Asked()


@given(st.lists(st.sampled_from([*EXAMPLES, "```", "\n\n", "Why?", "设计"]), max_size=6))
def test_neither_reasons_nor_a_printed_request_hold_a_word_of_the_prompt(parts: Sequence[str]) -> None:
    """They are logged and kept; prompts never are."""
    asked = _chat(f"{CANARY} ".join([*parts, ""]), tools=[{"name": CANARY}])
    assert CANARY not in repr((asked, classify(asked)))


@given(st.text(max_size=200) | st.sampled_from(list(EXAMPLES)))
def test_to_ask_for_json_of_a_shape_never_lowers_the_score(prompt: str) -> None:
    """A shape is one more thing to get right."""
    shaped = _chat(prompt, response_format={"type": "json_schema"})
    assert classify(shaped).score >= classify(_chat(prompt)).score


def test_what_is_kept_of_a_long_text_is_bounded_and_has_both_ends() -> None:
    """A question often follows the document that it is about."""
    asked = _chat("first " + "x" * 50_000 + " last")
    assert len(asked.text) == HEAD + TAIL + 1
    assert (asked.text[:5], asked.text[-4:], asked.chars) == ("first", "last", 50_011)


@pytest.mark.parametrize(
    ("surface", "body"),
    [
        (Surface.CHAT, {"messages": [
            {"role": "system", "content": "Be kind"},
            {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {}}]},
            {"role": "tool", "content": "42"}], "max_tokens": 9, "response_format": {"type": "json_schema"}}),
        (Surface.RESPONSES, {"instructions": "Be kind", "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Look"}, {"type": "input_image"}]},
            {"type": "function_call_output", "output": "42"}],
            "max_output_tokens": 9, "text": {"format": {"type": "json_schema"}}}),
        (Surface.MESSAGES, {"system": [{"type": "text", "text": "Be kind"}], "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image"}]},
            {"role": "user", "content": [{"type": "tool_result", "content": "42"}]}],
            "max_tokens": 9, "output_config": {"format": {"type": "json_schema"}}}),
    ],
)  # fmt: skip
def test_each_dialect_is_read_alike(surface: Surface, body: dict[str, Any]) -> None:
    """The same request asks the same, whichever API it is put to."""
    asked = asked_of(surface, msgspec.json.encode(body | {"tools": [{}, {}]}))
    read = (asked.text, asked.turns, asked.system_chars, asked.tools, asked.tool_results)
    assert read == ("Look", 1, 7, 2, 1)
    assert (asked.schema, asked.images, asked.max_tokens) == (True, 1, 9)
