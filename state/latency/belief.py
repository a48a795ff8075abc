"""What a restart goes on from: the estimator and the reliability of a target, written down and read back.

As JSON, for people; its times are seconds before the moment at which it was written, since no clock but that of the
wall survives a restart. What is infinite is left out, and is what a newcomer has.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from state.latency.estimator import NEWCOMER, Estimator
from state.latency.level import Level
from state.latency.reliability import Reliability

__all__ = ["Belief", "read_belief"]


class Belief(msgspec.Struct, frozen=True, kw_only=True):
    """What is believed of a target at `at`, monotonic seconds."""

    estimator: Estimator = NEWCOMER
    reliability: Reliability = Reliability()
    at: float = 0.0

    def moved(self, to: float) -> Belief:
        """Return the same belief as of the moment `to`, on another clock."""
        later = to - self.at
        estimator = replace(
            self.estimator, first=_moved(self.estimator.first, later), pace=_moved(self.estimator.pace, later)
        )
        reliability = replace(self.reliability, at=self.reliability.at + later)
        return Belief(estimator=estimator, reliability=reliability, at=to)

    def as_json(self) -> str:
        """Return it as of moment zero, as JSON."""
        return msgspec.json.encode(_finite(msgspec.to_builtins(self.moved(0.0)))).decode()


_DECODER: Final = msgspec.json.Decoder(Belief)


def read_belief(text: str | bytes) -> Belief | None:
    """Return the belief that `as_json` wrote, None where it is none that this version can read."""
    try:
        belief = _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return belief if _is_sound(belief.estimator) else None


def _is_sound(estimator: Estimator) -> bool:
    levels = (estimator.first, estimator.pace)
    within = all(abs(level.mean) < _LARGEST_LOG and level.noise > 0 and level.variance >= 0 for level in levels)
    return within and estimator.service_s > 0 and estimator.knee.at_once > 0


_LARGEST_LOG: Final = 30.0
"""The logarithm of any length of time that a person could wait is far smaller."""


def _moved(level: Level, later: float) -> Level:
    return replace(level, at=level.at + later)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items() if not _is_infinite(part)}
    return value


def _is_infinite(part: Any) -> bool:
    return isinstance(part, float) and not math.isfinite(part)
