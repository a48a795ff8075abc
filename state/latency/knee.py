"""The knee of a target: how many requests it serves at once before the next one has to stand in its queue.

Queueing is told apart from a brownout by the load: who is slow at a load that was fine before is slow for another
reason, and that is the level's business, not the knee's.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from state.latency.level import Level

__all__ = ["Knee", "after_load", "queue_wait"]

_NORMAL_SD: Final = 2.5
_MOST_NOISE: Final = 0.2
_PROBING: Final = 0.02
"""How much the knee grows with each answer that is normal at its edge: by itself it is found again within minutes."""
_FADE: Final = 0.9995
_RATE: Final = 0.3
_ROWS: Final = 2
"""Slow answers in a row above every load that was fine: then there is a knee."""


class Knee(msgspec.Struct, frozen=True):
    """The estimated concurrency. Source: facts/routing.md, section 1."""

    at_once: float = math.inf
    """How many requests are served without waiting; infinity while no queue was ever seen."""
    fine: float = 1.0
    """The largest load at which the first token still came at its normal time; fades."""
    slow: int = 0
    """Slow answers in a row above it."""

    @property
    def known(self) -> bool:
        """Whether a queue was ever seen."""
        return self.at_once < math.inf


def queue_wait(knee: Knee, in_flight: int, service_s: float) -> float:
    """Return the seconds that a request waits when `in_flight` are there, itself included."""
    return max(0.0, in_flight - knee.at_once) * service_s / knee.at_once if knee.known else 0.0


def after_load(knee: Knee, level: Level, seconds: float, load: tuple[int, float, float]) -> tuple[Knee, bool]:
    """Return the knee after a first token that took `seconds`, and whether its slowness was a queue's.

    `load` is how many were in flight with it, the mean service time, and the best level known, both in seconds.
    """
    in_flight, service_s, best_s = load
    fade = knee.fine * _FADE
    usual_s = min(math.exp(level.mean), best_s)
    normal = seconds <= usual_s * math.exp(_NORMAL_SD * math.sqrt(min(level.noise, _MOST_NOISE)))
    if normal:
        at_once = knee.at_once
        if in_flight > at_once:
            at_once = min(in_flight, at_once + 1)
        elif in_flight >= at_once - 1:
            at_once += _PROBING
        return Knee(at_once, max(fade, in_flight)), False
    # Who is alone waits for nobody, however far what was fine has faded while every answer was slow.
    if in_flight <= max(1.0, knee.fine):
        return Knee(knee.at_once, fade), False
    seen = max(1.0, in_flight / (1 + (seconds - usual_s) / service_s))
    if knee.known:
        return Knee(knee.at_once + _RATE * (seen - knee.at_once), fade), True
    slow = knee.slow + 1
    return Knee(max(seen, knee.fine) if slow >= _ROWS else math.inf, fade, slow), True
