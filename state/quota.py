"""How much a provider still allows: what its answers tell of its limits, and what was sent since they told it.

Requests are counted as they are sent, one ordinal for each, so that an answer says something of its own moment: what
was sent after it is taken off what it told. A limit that is used up opens again at its reset, to one request, and the
answer to that one tells how far. Nobody waits for news for ever: after `SILENCE_S` without any the limit is forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

__all__ = ["LONGEST_RESET_S", "SILENCE_S", "Account", "Allowance", "Headroom", "Quota"]

LONGEST_RESET_S: Final = 24 * 3600.0
"""No reset is believed further than this: the longest limits that providers document are those of a day."""
SILENCE_S: Final = 30.0
"""How long the first answer after a reset is waited for: as long as a first byte usually may take."""
_ROUNDING_S: Final = 1.0
"""Resets come in whole seconds at the coarsest: two that are no further apart may be the same."""
_STEADY: Final = 0.25
"""How far two measures of a refill may differ, as a share, to be one and the same."""


class Allowance(msgspec.Struct, frozen=True):
    """What one answer tells of one limit."""

    remaining: float
    reset_s: float | None = None
    """Seconds until the limit is whole again, from when it was told."""
    limit: float | None = None


class Headroom(msgspec.Struct, frozen=True):
    """What one answer tells of its provider's limits."""

    requests: Allowance | None = None
    tokens: Allowance | None = None
    age_s: float = 0.0
    """Seconds from the answer's head, where this stood, to the end of the attempt that reports it."""

    @property
    def used_up_s(self) -> float | None:
        """Seconds until all that is used up is whole again; None where nothing is, or where that is not told."""
        resets = [one.reset_s for one in (self.requests, self.tokens) if one is not None and one.remaining < 1.0]
        return max((reset_s for reset_s in resets if reset_s is not None), default=None)

    def within(self, wait_s: float) -> Headroom:
        """Return the same where the provider says itself that `wait_s` is wait enough."""
        return replace(self, requests=_within(self.requests, wait_s), tokens=_within(self.tokens, wait_s))


def _within(allowance: Allowance | None, wait_s: float) -> Allowance | None:
    if allowance is None or allowance.reset_s is None or allowance.remaining >= 1.0:
        return allowance
    return replace(allowance, reset_s=min(allowance.reset_s, wait_s))


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One limit as it was told last. Times are seconds on the monotonic clock."""

    remaining: float
    reset_at: float
    told_at: float
    ordinal: int
    """The attempt whose answer told it."""
    sent: int
    """How much had been sent with that attempt, in the limit's own unit: requests or estimated tokens."""
    limit: float | None = None
    refill_s: float | None = None
    """Seconds in which one more is allowed, where the limit was seen to fill up steadily; None where it comes at once
    or that is not known."""

    def after(self, told: Account) -> Account:
        """Return the account once `told` is heard as well: the newer attempt's word holds.

        Within one window what remains can only shrink, so there the smaller number is the later word, whichever attempt
        was sent first.
        """
        if told.ordinal > self.ordinal:
            return replace(told, refill_s=self._refill(told))
        if told.remaining < self.remaining and abs(told.reset_at - self.reset_at) <= _ROUNDING_S:
            return replace(self, remaining=told.remaining)
        return self

    def left(self, sent: int) -> float:
        """Return what remains once `sent` had been sent in all; below zero where more was sent than was left."""
        return self.remaining - max(0, sent - self.sent)

    def opens_at(self, sent: int, need: float) -> float:
        """Return from when on `need` more may be sent after `sent`; minus infinity where it fits now.

        At the reset exactly one request may go, however large; then its answer is awaited.
        """
        left = self.left(sent)
        wanted = need if self.limit is None else min(need, self.limit)
        if left >= wanted:
            return -math.inf
        opens_at = self.reset_at if left >= 0.0 else self.reset_at + SILENCE_S
        if self.refill_s is None:
            return opens_at
        return min(opens_at, self.told_at + (wanted - left) * self.refill_s)

    def _refill(self, newer: Account) -> float | None:
        """Return the refill interval as the two words show it.

        Where a limit fills up steadily, each request moves the moment at which it is whole by the same time, and what
        is missing fills up within the rest. Tokens are only estimated, too roughly for this.
        """
        if (
            newer.sent != newer.ordinal
            or newer.limit is None
            or newer.limit != self.limit
            or newer.remaining >= newer.limit
        ):
            return None
        if newer.remaining >= self.remaining:
            return self.refill_s
        pushed = (newer.reset_at - self.reset_at) / max(1, newer.sent - self.sent)
        even = (newer.reset_at - newer.told_at) / (newer.limit - newer.remaining)
        return even if abs(pushed - even) < _STEADY * even else None


class Quota(msgspec.Struct, frozen=True):
    """What is known of a target's limits; None where nothing was told, and then nothing is held back."""

    requests: Account | None = None
    tokens: Account | None = None

    def after(self, headroom: Headroom, ordinal: int, at: float, tokens_sent: int = 0) -> Quota:
        """Return the quota once the answer to attempt `ordinal` has told `headroom`, in a head that was read at `at`.

        `tokens_sent` is how many tokens, as estimated, had been sent with that attempt.
        """
        return Quota(
            _heard(self.requests, headroom.requests, (ordinal, ordinal), at),
            _heard(self.tokens, headroom.tokens, (ordinal, tokens_sent), at),
        )

    def forgotten(self, ordinal: int, started_at: float) -> Quota:
        """Return the quota once the answer to attempt `ordinal` told nothing: what was renewed before is not known."""
        return Quota(_known(self.requests, ordinal, started_at), _known(self.tokens, ordinal, started_at))

    def missed(self, ordinal: int, tokens_sent: int) -> Quota:
        """Return the quota once attempt `ordinal` failed and told nothing: another may find out in its place."""
        return Quota(_vacant(self.requests, ordinal, ordinal), _vacant(self.tokens, ordinal, tokens_sent))

    def spared(self, ordinal: int, tokens: int) -> Quota:
        """Return the quota once attempt `ordinal`, of `tokens`, turns out never to have been sent."""
        return Quota(_credited(self.requests, ordinal, 1), _credited(self.tokens, ordinal, tokens))

    def left(self, sent: int, now: float) -> float:
        """Return how many requests may go at `now` after `sent` of them; one where the limit is just renewed."""
        return _open(self.requests, sent, now)

    def left_tokens(self, tokens_sent: int, now: float) -> float:
        """Return how many tokens may go at `now` after `tokens_sent`, an estimate."""
        return _open(self.tokens, tokens_sent, now)

    def has_room(self, sent: int, tokens_sent: int, tokens: int) -> bool:
        """Return whether a request of `tokens` fits into what was told to be left: the usual case, cheaply."""
        requests, volume = self.requests, self.tokens
        if requests is not None:
            left = requests.remaining
            if left < 1.0 or left - sent + requests.sent < 1.0:
                return False
        if volume is None:
            return True
        left, need = volume.remaining, tokens or 1
        return left >= need and left - tokens_sent + volume.sent >= need

    def ready_at(self, sent: int, tokens_sent: int, tokens: int) -> float:
        """Return from when on a request of `tokens` may go after `sent` others; minus infinity where it may now."""
        return self.opening(sent, tokens_sent, tokens)[0]

    def opening(self, sent: int, tokens_sent: int, tokens: int) -> tuple[float, float]:
        """Return the same, and the reset of the limit that it depends on.

        In between, where the first is later, the one request that finds out is under way.
        """
        requests, volume = self.requests, self.tokens
        first = (-math.inf, -math.inf)
        if requests is not None:
            first = (requests.opens_at(sent, 1.0), requests.reset_at)
        if volume is None:
            return first
        return max(first, (volume.opens_at(tokens_sent, max(1.0, tokens)), volume.reset_at))

    def turning_points(self, sent: int) -> Iterator[float]:
        """Yield the moments at which time alone may let somebody in, after `sent` requests."""
        if self.requests is not None:
            yield self.requests.opens_at(sent, 1.0)
        if self.tokens is not None:
            yield from (self.tokens.reset_at, self.tokens.reset_at + SILENCE_S)


def _heard(known: Account | None, allowance: Allowance | None, attempt: tuple[int, int], at: float) -> Account | None:
    """Return the account once `allowance` was told at `at`, by the attempt of that ordinal and amount sent."""
    if allowance is None:
        return known
    told = Account(
        remaining=allowance.remaining,
        reset_at=at + min(allowance.reset_s or 0.0, LONGEST_RESET_S),
        told_at=at,
        ordinal=attempt[0],
        sent=attempt[1],
        limit=allowance.limit,
    )
    return told if known is None else known.after(told)


def _known(account: Account | None, ordinal: int, started_at: float) -> Account | None:
    if account is None or ordinal <= account.ordinal or started_at < account.reset_at:
        return account
    return None


def _vacant(account: Account | None, ordinal: int, sent: int) -> Account | None:
    if account is None or ordinal <= account.ordinal or account.left(sent) >= 0.0:
        return account
    return replace(account, remaining=0.0, ordinal=ordinal, sent=sent)


def _credited(account: Account | None, ordinal: int, amount: int) -> Account | None:
    if account is None or ordinal <= account.ordinal:
        return account
    return replace(account, sent=account.sent + amount)


def _open(account: Account | None, sent: int, now: float) -> float:
    if account is None:
        return math.inf
    left = max(0.0, account.left(sent))
    return left if left >= 1.0 or now < account.opens_at(sent, 1.0) else 1.0
