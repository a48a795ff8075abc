"""Chance that depends only on what it is drawn for: every policy meets the same luck in the same place.

A sequential generator would hand a policy that sends once more other luck for everything after. Here each number is
a hash (the finaliser of splitmix64) of the seed and of what it is drawn for.
"""

from __future__ import annotations

import math
from enum import IntEnum
from statistics import NormalDist
from typing import Final

__all__ = ["Draw", "key", "lognormal", "uniform"]

_WORD: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15
_NORMAL: Final = NormalDist()


class Draw(IntEnum):
    """What a number is drawn for, within one key."""

    TTFT = 1
    TAIL = 2
    SPEED = 3
    FAULT = 4
    HANG = 5
    CUT = 6
    CUT_SHARE = 7
    LONG = 8
    ANSWER = 9
    GAP = 20
    BURST = 21
    OUTPUT = 22
    OUTPUT_PART = 23
    PROMPT = 24
    PROMPT_PART = 25
    STREAMED = 26
    STATED = 27
    MARGIN = 28
    CHOICE = 40
    SECOND_CHOICE = 41


def key(seed: int, *parts: int) -> int:
    """Return the key of one thing that meets luck, such as a request's n-th try at a provider."""
    state = _mixed(seed + _GOLDEN)
    for part in parts:
        state = _mixed(state + (part + 1) * _GOLDEN)
    return state


def uniform(of: int, draw: Draw) -> float:
    """Return a number evenly distributed between 0 and 1, both excluded."""
    return ((_mixed(of + draw * _GOLDEN) >> 11) + 0.5) / (1 << 53)


def lognormal(of: int, draw: Draw, sigma: float) -> float:
    """Return a factor with median 1 whose logarithm has the standard deviation `sigma`."""
    return math.exp(sigma * _NORMAL.inv_cdf(uniform(of, draw)))


def _mixed(word: int) -> int:
    word &= _WORD
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
    return word ^ (word >> 31)
