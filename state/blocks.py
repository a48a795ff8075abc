"""The block of a target: until when new requests are of no use, after a rate limit, a spent quota or a refused key.

A block is about capacity and entitlement, not health: it never ejects. It only ever grows, until it ends or until an
answer to a request that was sent after the last refusal proves it wrong.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from state.faults import FAULT_RULES, Fault, Scope, Wait
from state.outcome import Outcome

__all__ = ["LONGEST_BLOCK_S", "NO_BLOCK", "Block"]

LONGEST_BLOCK_S: Final = 24 * 3600.0
"""No hint is believed further than this: the longest quotas that providers document end with the day."""
_HINTED: Final = Wait(0.0, 120.0)
"""The wait of a fault that blocks only where its provider asks for it: an overload is over in minutes."""
_MOST_DOUBLINGS: Final = 30


class Block(msgspec.Struct, frozen=True):
    """Until when requests are refused, and from what that follows. Seconds on the monotonic clock."""

    until: float = -math.inf
    refused_at: float = -math.inf
    """When the latest refusal came: only an answer to a request sent after it can end the block."""
    guesses: int = 0
    """Rounds of refusals without a hint since the last success."""
    fault: Fault | None = None
    """What the refusal was that set `until`."""
    scope: Scope = Scope.TARGET
    """What that refusal spoke of: the target alone, or everything that its key pays for."""

    def after_refusal(self, outcome: Outcome, started_at: float, at: float) -> Block:
        """Return the block after a refusal at `at` of a request sent at `started_at`.

        Refusals of requests that were sent before the latest refusal belong to its round: they do not double the guess.
        """
        rule = None if outcome.fault is None else FAULT_RULES[outcome.fault].wait
        wait = rule or _HINTED
        guesses = self.guesses
        if outcome.retry_after_s:
            wait_s = min(outcome.retry_after_s, LONGEST_BLOCK_S if rule else wait.longest_s)
        else:
            guesses += started_at >= self.refused_at or not guesses
            wait_s = min(wait.first_s * 2.0 ** min(guesses - 1, _MOST_DOUBLINGS), wait.longest_s)
        longer = at + wait_s >= self.until
        fault, scope = (outcome.fault, outcome.scope) if longer else (self.fault, self.scope)
        return Block(max(self.until, at + wait_s), max(self.refused_at, at), guesses, fault, scope)

    def after_success(self, started_at: float) -> Block:
        """Return the block after an answer to a request sent at `started_at`: none, unless it was sent too early."""
        return self if started_at < self.refused_at else NO_BLOCK

    def after_neighbour(self, started_at: float) -> Block:
        """Return the block after an answer of another target of the same key to a request sent at `started_at`."""
        return self.after_success(started_at) if self.scope is Scope.CREDENTIAL else self

    def ended(self) -> Block:
        """Return the block once its time is over: no longer in force, and still counting its guesses."""
        return Block(-math.inf, self.refused_at, self.guesses, None, self.scope)


NO_BLOCK: Final = Block()
