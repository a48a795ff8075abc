"""A tier from a transparent sum: each sign that a request shows adds its weight, and says so.

Weights were set by hand and corrected on the tuning half of `benchmarks/complexity`; `docs/complexity.md` lists them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from daemon.routing.complexity.features import Asked
from daemon.routing.complexity.lexicon import BY_FIRST_WORD, IDEOGRAMS, LIGHT, POLITE
from daemon.routing.complexity.tiers import Classified, Tier

__all__ = ["COMPLEX_FROM", "MODERATE_FROM", "WEIGHTS", "classify"]

MODERATE_FROM: Final = 0.5
COMPLEX_FROM: Final = 1.75
WEIGHTS: Final = {
    "design": 1.75,
    "reasoning": 1.5,
    "trade-offs": 1.0,
    "systems": 1.75,
    "proof": 2.25,
    "debugging": 1.0,
    "expert matter": 1.25,
    "breadth": 0.5,
    "constraint": 0.5,
    "code": 0.25,
    "writing": 1.0,
    "explaining": 1.0,
}
"""What each sign of the lexicon adds, once."""
_SPACED: Final = str.maketrans(dict.fromkeys('\t\n\r!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\u2019“”«»¿¡„', " "))
_QUOTED: Final = re.compile(r"[:\"“”„«`\n]| '")
_QUOTATION: Final = re.compile(r"\"[^\"]*\"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|(?<!\w)'[^'\n]{8,}'(?!\w)")
_FENCE: Final = "```"
_WHOLE: Final = 700
"""A text up to this many characters is read as instruction throughout."""
_EDGE: Final = 320
"""Of a longer text, this many characters from each end are: what lies between was most likely pasted."""


def classify(asked: Asked) -> Classified:
    """Return the tier that `asked` needs, its score, and the reasons in our own words."""
    added = [*_signs(asked.text), *_circumstances(asked)]
    score = round(sum(weight for _, weight in added), 2)
    tier = Tier.COMPLEX if score >= COMPLEX_FROM else Tier.MODERATE if score >= MODERATE_FROM else Tier.SIMPLE
    return Classified(tier=tier, score=score, reasons=tuple([f"{what} {weight:+.2f}" for what, weight in added]))


def _signs(text: str) -> Iterator[tuple[str, float]]:
    """Add up what the words say: work done upon a given text is light, whatever words that text holds."""
    instruction = _instruction(text)
    words = instruction.translate(_SPACED).split()
    lead = next((word for word in words if word not in POLITE), "")
    light = lead in LIGHT
    if light:
        words = _QUOTED.split(instruction, maxsplit=1)[0].translate(_SPACED).split() or words
        yield "done upon a text or asks for a fact", -0.75
    shown = _shown(words, instruction)
    for sign in WEIGHTS:
        if sign in shown:
            yield f"speaks of {sign}", WEIGHTS[sign]
    if {"writing", "code"} <= shown and "systems" in shown:
        yield "asks to build a system", 0.5
    if len(words) <= _FEW and not shown & _DEMANDING and instruction.isascii():
        yield f"{len(words)} words", -0.5
    elif len(words) >= _MANY and shown & _DEMANDING and not light:
        yield "a long instruction", 0.5


_FEW: Final = 12
_MANY: Final = 45
_DEMANDING: Final = frozenset({"design", "reasoning", "trade-offs", "systems", "proof", "debugging", "expert matter"})


def _instruction(text: str) -> str:
    """Return the part of `text` that says what to do, in lower case: its edges, without fenced code and quotations."""
    if _FENCE in text:
        text = " ".join(text.split(_FENCE)[::2])
    if len(text) > _WHOLE:
        text = _edges(text)
    if any(mark in text for mark in _MARKS):
        text = _QUOTATION.sub(" ", text)
    return text.lower()


def _edges(text: str) -> str:
    """Return the first and the last paragraph where they are short: the long one was most likely pasted."""
    head, broken, _ = text[:_EDGE].partition(_PARAGRAPH)
    _, breaks, tail = text[-_EDGE:].rpartition(_PARAGRAPH)
    if broken and not breaks:
        return head
    return tail if breaks and not broken else f"{head}\n{tail}"


_PARAGRAPH: Final = "\n\n"
_MARKS: Final = ('"', "'", "“", "„", "«")


def _shown(words: list[str], instruction: str) -> set[str]:
    spaced = f" {' '.join(words)} "
    shown = {
        sign
        for word in set(words) & BY_FIRST_WORD.keys()
        for sign, phrase in BY_FIRST_WORD[word]
        if not phrase or phrase in spaced
    }
    if not instruction.isascii():
        shown.update(sign for sign, parts in IDEOGRAMS.items() if any(part in instruction for part in parts))
    return shown


def _circumstances(asked: Asked) -> Iterator[tuple[str, float]]:
    """Add up what the request carries beside its words."""
    if _FENCE in asked.text:
        yield "holds code", 0.5
    if asked.tools:
        yield f"{asked.tools} tools", 0.5 if asked.tools < _MANY_TOOLS else 1.0
    if asked.tool_results >= _MANY_RESULTS:
        yield f"{asked.tool_results} tool results", 0.75
    if asked.schema:
        yield "asks for JSON of a shape", 0.25
    if asked.turns >= _MANY_TURNS:
        yield f"{asked.turns} turns", 0.5
    if asked.images:
        yield f"{asked.images} images", 0.5
    if asked.chars >= _LONG:
        yield f"{asked.chars} characters", 0.5


_MANY_TOOLS: Final = 6
_MANY_RESULTS: Final = 3
_MANY_TURNS: Final = 4
_LONG: Final = 8000
