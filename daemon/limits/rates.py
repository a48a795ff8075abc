"""What was asked for within the last minute: exact, so that no sixty seconds ever hold more than the limit."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

__all__ = ["MINUTE_S", "Claim", "Minute"]

MINUTE_S: Final = 60.0


class Claim:
    """A part of a minute's allowance, from when it was taken; its amount may be corrected afterwards."""

    __slots__ = ("amount", "at")

    def __init__(self, at: float, amount: int) -> None:
        """Take `amount` at `at`, monotonic seconds."""
        self.at = at
        self.amount = amount


class Minute:
    """The claims of the last sixty seconds. Times are arguments; they never go backwards."""

    def __init__(self) -> None:
        """Start with none."""
        self._claims: deque[Claim] = deque()
        self._sum = 0

    def __repr__(self) -> str:
        """Show what is taken."""
        return f"<Minute {self._sum} in {len(self._claims)} claims>"

    def taken(self, now: float) -> int:
        """Return how much the last sixty seconds hold."""
        while self._claims and now - self._claims[0].at >= MINUTE_S:
            self._sum -= self._claims.popleft().amount
        return self._sum

    def frees_in(self, amount: int, most: int, now: float) -> float:
        """Return in how many seconds `amount` more fits into `most`; 0.0 where it does now, infinity for never.

        What is larger than all of `most` fits once nothing else is there: refusing it for ever would help nobody.
        """
        if most <= 0:
            return math.inf
        room = most - min(amount, most)
        excess = self.taken(now) - room
        if excess <= 0:
            return 0.0
        leaves = self._oldest_of(excess) if excess <= room else self._newest_beyond(room)
        return max(0.0, leaves.at + MINUTE_S - now)

    def _oldest_of(self, excess: int) -> Claim:
        """Return the claim with which the oldest `excess` has left."""
        for claim in self._claims:
            excess -= claim.amount
            if excess <= 0:
                break
        return claim

    def _newest_beyond(self, room: int) -> Claim:
        """Return the newest claim that has to leave so that no more than `room` is there.

        From the other end, since what is over a limit that refuses nobody may be many times the limit.
        """
        for claim in reversed(self._claims):
            room -= claim.amount
            if room < 0:
                break
        return claim

    def take(self, amount: int, now: float) -> Claim:
        """Add a claim and return it."""
        claim = Claim(now, amount)
        self._claims.append(claim)
        self._sum += amount
        return claim

    def correct(self, claim: Claim, amount: int, now: float) -> None:
        """Say what was really used of a claim; one that has left the minute changes nothing any more."""
        self.taken(now)
        if now - claim.at < MINUTE_S:
            self._sum += amount - claim.amount
            claim.amount = amount
