"""Who counts as hung: a pure function of who has left a question open, and of the moments at which that was looked at.

A look that comes late says that the loop was held up, and then nobody could answer: a question grows older by at most
the usual time between two looks. So an actor is hung only after it had its turns and let them pass.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

__all__ = ["Rhythm", "Vigil", "after_look", "hung", "rhythm_of"]

_LONGEST_INTERVAL_S: Final = 1.0
_LOOKS: Final = 10
"""Signs of life within the watchdog's time: a loop that is held up for nine tenths of it lives on."""
_PATIENCE: Final = 5
"""Looks that an actor may leave a question open: half of the watchdog's time, so that it is over within the whole."""
_UNWATCHED_S: Final = 20.0
"""What stands for the watchdog's time where there is none: hung actors are then told of in the log."""


class Rhythm(msgspec.Struct, frozen=True):
    """How often to look, and how long an actor may be silent, in seconds."""

    interval_s: float
    patience_s: float


class Vigil(msgspec.Struct, frozen=True):
    """What was seen up to a look: when that was, and for how long each of the silent has been so, in seconds."""

    at: float
    silent_s: Mapping[str, float] = MappingProxyType({})


def rhythm_of(watchdog_s: float | None) -> Rhythm:
    """Return how to look where the service manager wants a sign of life every `watchdog_s` seconds, None for never."""
    whole_s = _UNWATCHED_S if watchdog_s is None else watchdog_s
    return Rhythm(min(_LONGEST_INTERVAL_S, whole_s / _LOOKS), whole_s / _LOOKS * _PATIENCE)


def after_look(vigil: Vigil, silent: Collection[str], now: float, rhythm: Rhythm) -> Vigil:
    """Return what is known after a look at `now` that found the questions to `silent` open."""
    passed = min(now - vigil.at, rhythm.interval_s)
    return Vigil(now, {name: vigil.silent_s.get(name, 0.0) + passed for name in silent})


def hung(vigil: Vigil, rhythm: Rhythm) -> tuple[str, ...]:
    """Return who has been silent for too long."""
    return tuple(name for name, silent_s in vigil.silent_s.items() if silent_s >= rhythm.patience_s)
