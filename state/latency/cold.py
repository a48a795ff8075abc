"""Cold starts: what a target takes longer after it was idle, and for how long it must have been."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from state.latency.level import Level

__all__ = ["Cold", "after_pause"]

_SHORTEST_GAP_S: Final = 20.0
"""Shorter pauses are between requests, not idleness."""
_COLD_SD: Final = 3.0
_MOST_IN_A_ROW: Final = 3
_RATE: Final = 0.3
_NOT_YET: Final = 1.2
"""A pause after which it was still warm: the gap must be longer."""


class Cold(msgspec.Struct, frozen=True):
    """What is known of a target's cold starts, in seconds."""

    extra_s: float = 0.0
    gap_s: float = math.inf
    run: int = 0
    """Cold starts in a row, without an answer that came at its usual time."""

    def wait(self, idle_s: float) -> float:
        """Return the seconds that the next first token takes longer after `idle_s` of idleness."""
        return self.extra_s if idle_s >= self.gap_s else 0.0


def after_pause(cold: Cold, level: Level, seconds: float, idle_s: float) -> tuple[Cold, bool]:
    """Return what is known after a first token that took `seconds` and came `idle_s` after the one before it.

    The second value says whether it was a cold start, and so says nothing of the level.
    """
    if idle_s < _SHORTEST_GAP_S or not level.count:
        return (Cold(cold.extra_s, cold.gap_s) if cold.run else cold), False
    usual_s = math.exp(level.mean)
    if seconds > usual_s * math.exp(_COLD_SD * math.sqrt(level.noise)):
        if cold.run >= _MOST_IN_A_ROW:
            return Cold(), False  # nothing was warm for so long: it is the target that is slow
        extra = seconds - usual_s
        known = extra if not cold.extra_s else cold.extra_s + _RATE * (extra - cold.extra_s)
        return Cold(known, min(cold.gap_s, idle_s), cold.run + 1), True
    if idle_s >= cold.gap_s:
        return Cold(cold.extra_s, idle_s * _NOT_YET), False
    return (Cold(cold.extra_s, cold.gap_s) if cold.run else cold), False
