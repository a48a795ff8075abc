"""What the heuristic is compared with: two published keyword lists, luck, the best model always, and the labels.

The lists are those of two tutorials on model routing, word for word, with the rules around them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from benchmarks.complexity.prompts import Labelled
from daemon.routing.complexity.heuristic import classify
from daemon.routing.complexity.tiers import Borders, Tier

__all__ = ["CLASSIFIERS", "THRIFTY", "Classifier", "random_tier"]

Classifier = Callable[[Labelled], Tier]

THRIFTY: Final = Borders(complex=3.0)
"""For who pays more attention to the bill: only what is surely complex goes to the best model."""

_FIRST_COMPLEX: Final = (
    "analyze",
    "compare",
    "explain why",
    "trade-offs",
    "architecture",
    "design",
    "debug this",
    "review",
)
_FIRST_SIMPLE: Final = ("what is", "define", "list", "how to", "translate", "summarize", "format")
_SECOND_SIMPLE: Final = ("is this", "does this", "yes or no", "classify", "extract the", "what is the")
_SECOND_COMPLEX: Final = ("analyze", "compare", "explain why", "design", "write a", "reasoning", "evaluate")
_SECOND_SIMPLE_WORDS: Final = 20
_SECOND_COMPLEX_WORDS: Final = 80


def _first_list(one: Labelled) -> Tier:
    text = one.text.lower()
    if any(word in text for word in _FIRST_COMPLEX):
        return Tier.COMPLEX
    return Tier.SIMPLE if any(word in text for word in _FIRST_SIMPLE) else Tier.MODERATE


def _second_list(one: Labelled) -> Tier:
    text, words = one.text.lower(), len(one.text.split())
    if any(word in text for word in _SECOND_SIMPLE) and words < _SECOND_SIMPLE_WORDS:
        return Tier.SIMPLE
    if any(word in text for word in _SECOND_COMPLEX) or words > _SECOND_COMPLEX_WORDS:
        return Tier.COMPLEX
    return Tier.MODERATE


def random_tier(chance: random.Random) -> Classifier:
    """Return a classifier that draws each tier alike."""
    tiers = tuple(Tier)
    return lambda _: chance.choice(tiers)


CLASSIFIERS: Final[dict[str, Classifier]] = {
    "heuristic": lambda one: classify(one.asked).tier,
    "heuristic, thrifty": lambda one: classify(one.asked, THRIFTY).tier,
    "keyword list A": _first_list,
    "keyword list B": _second_list,
    "always best": lambda _: Tier.COMPLEX,
    "the labels": lambda one: one.tier,
}
"""By name, in the order of the tables; `the labels` is what a perfect classifier would do."""
