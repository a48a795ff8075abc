"""The block of a target: until when its provider wants no requests, after a rate limit or a spent quota.

A block is about capacity, not health: it never ejects. It only ever grows, until it ends or until an answer to a
request that was sent after the last refusal proves it wrong.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from state.faults import Fault
from state.outcome import Outcome

__all__ = ["FIRST_GUESS_S", "LONGEST_BLOCK_S", "LONGEST_GUESS_S", "QUOTA_GUESS_S", "Block"]

FIRST_GUESS_S: Final = 1.0
"""Wait after a rate limit that came without a hint; each further round doubles it."""
LONGEST_GUESS_S: Final = 30.0
"""Guesses stop growing here: rate limits are mostly counted by the minute."""
QUOTA_GUESS_S: Final = 60.0
"""Wait after a spent quota that came without a hint."""
LONGEST_BLOCK_S: Final = 3600.0
"""No hint is believed further than this."""


class Block(msgspec.Struct, frozen=True):
    """Until when requests are refused, and from what that follows. Seconds on the monotonic clock."""

    until: float = -math.inf
    refused_at: float = -math.inf
    """When the latest refusal came: only an answer to a request sent after it can end the block."""
    guesses: int = 0
    """Rounds of refusals without a hint since the last success."""

    def after_refusal(self, outcome: Outcome, started_at: float, at: float) -> Block:
        """Return the block after a refusal at `at` of a request sent at `started_at`.

        Refusals of requests that were sent before the latest refusal belong to its round: they do not double the guess.
        """
        if outcome.retry_after_s:
            guesses, wait_s = self.guesses, min(outcome.retry_after_s, LONGEST_BLOCK_S)
        elif outcome.fault is Fault.QUOTA:
            guesses, wait_s = self.guesses, QUOTA_GUESS_S
        else:
            guesses = self.guesses + 1 if started_at >= self.refused_at or not self.guesses else self.guesses
            wait_s = min(FIRST_GUESS_S * 2.0 ** min(guesses - 1, 10), LONGEST_GUESS_S)
        return Block(max(self.until, at + wait_s), max(self.refused_at, at), guesses)

    def after_success(self, started_at: float) -> Block:
        """Return the block after an answer to a request sent at `started_at`: none, unless it was sent too early."""
        return self if started_at < self.refused_at else _NO_BLOCK

    def ended(self) -> Block:
        """Return the block once its time is over: no longer in force, and still counting its guesses."""
        return Block(-math.inf, self.refused_at, self.guesses)


_NO_BLOCK = Block()
