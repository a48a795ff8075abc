"""What the heuristic is held against: two published lists of words, always the best model, and luck."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Final

from benchmarks.complexity.prompts import Prompt
from daemon.routing.complexity.heuristic import classify
from daemon.routing.complexity.tiers import Tier

__all__ = ["DECIDERS", "KEYWORDS", "Decide", "luck"]

Decide = Callable[[Prompt], Tier]
_COMPLEX_FIRST = ("analyze", "compare", "explain why", "trade-offs", "architecture", "design", "debug this", "review")
_THEN_SIMPLE = ("what is", "define", "list", "how to", "translate", "summarize", "format")
_SIMPLE_FIRST = ("is this", "does this", "yes or no", "classify", "extract the", "what is the")
_THEN_COMPLEX = ("analyze", "compare", "explain why", "design", "write a", "reasoning", "evaluate")
_SHORT: Final = 20
_LONG: Final = 80


def _words_then_moderate(prompt: Prompt) -> Tier:
    """Look for complex words, then simple words, else the middle."""
    text = prompt.prompt.lower()
    if any(word in text for word in _COMPLEX_FIRST):
        return Tier.COMPLEX
    return Tier.SIMPLE if any(word in text for word in _THEN_SIMPLE) else Tier.MODERATE


def _words_and_length(prompt: Prompt) -> Tier:
    """Look for simple words in a short prompt, then complex words or a long prompt, else the middle."""
    text = prompt.prompt.lower()
    length = len(text.split())
    if length < _SHORT and any(word in text for word in _SIMPLE_FIRST):
        return Tier.SIMPLE
    return Tier.COMPLEX if length > _LONG or any(word in text for word in _THEN_COMPLEX) else Tier.MODERATE


def luck(seed: int) -> Decide:
    """Return a decider that draws each tier as often, repeatably."""
    drawn = random.Random(seed)  # noqa: S311 - a baseline, no secret
    return lambda _: drawn.choice(tuple(Tier))


KEYWORDS: Final[Mapping[str, Decide]] = {"words": _words_then_moderate, "words+length": _words_and_length}
DECIDERS: Final[Mapping[str, Decide]] = {
    "heuristic": lambda prompt: classify(prompt.asked()).tier,
    **KEYWORDS,
    "as labelled": lambda prompt: prompt.tier,
    "always best": lambda _: Tier.COMPLEX,
}
