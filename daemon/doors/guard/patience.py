"""How far a transfer may fall behind the rate that it must keep: a credit that time uses up and bytes earn."""

from __future__ import annotations

import msgspec

__all__ = ["Pace", "Terms", "keep_pace"]


class Terms(msgspec.Struct, frozen=True):
    """What must be kept."""

    grace: float
    """Seconds: the most credit that there is."""
    rate: float
    """Bytes that earn a second."""


class Pace(msgspec.Struct, frozen=True):
    """How one transfer keeps up."""

    left: float
    """Seconds of credit."""
    at: float
    done: int
    """Bytes so far."""

    @property
    def lost(self) -> bool:
        """Whether patience is over."""
        return self.left <= 0


def keep_pace(before: Pace | None, done: int, now: float, terms: Terms) -> Pace:
    """Return the pace of a transfer of which `done` bytes are there at `now`; it begins where `before` is None.

    Credit never exceeds the grace, so that a fast beginning buys no slow end.
    """
    if before is None:
        return Pace(terms.grace, now, done)
    earned = max(0, done - before.done) / terms.rate
    return Pace(min(terms.grace, before.left - (now - before.at) + earned), now, done)
