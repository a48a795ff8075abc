"""One account: what one subject of one limit has under way, asked for within the minute, and spent in its periods."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from daemon.limits.policy import LimitPolicy, Period
from daemon.limits.rates import Minute
from state.history.charges import Charged

__all__ = ["SETTLED", "SOON_S", "Account", "Purse", "Verdict"]

SOON_S: Final = 1.0
"""When to ask again where only requests under way stand in the way: nobody knows when they end."""
SETTLED: Final = "as attempts under way are settled"
"""When a budget frees of which all is set aside and not all is spent."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Why a limit stands in a request's way."""

    name: str
    """The limit, as in `[limits.NAME]`."""
    subject: str
    policy: LimitPolicy
    what: str
    """Which of its numbers, and what it stands at."""
    frees_in_s: float | None
    """Seconds until it would let the request through; None where nobody can say."""
    frees_at: str = ""
    """When that is, for limits in dollars."""
    reached: bool = True
    """Whether it is used up, or only nearly."""

    @property
    def budget(self) -> str:
        """Which limit in dollars it is about, such as `usd_per_day`; empty where it is about another."""
        key = self.what.partition(" ")[0]
        return key if key.startswith("usd_") else ""

    @property
    def passing(self) -> bool:
        """Whether only requests under way stand in the way, which may end at any time."""
        return self.frees_at == SETTLED

    @property
    def message(self) -> str:
        """What happened and when it ends, for the client."""
        whose = f" for {self.policy.per} {self.subject or 'nobody in particular'}" if self.policy.per != "all" else ""
        frees = self.frees_at or ("" if self.frees_in_s is None else f"in {max(0.1, self.frees_in_s):.1f} s")
        return f"limits.{self.name}{whose}: {self.what}." + (f" It frees {frees}." if frees else "")


class Purse(msgspec.Struct):
    """The dollars of one period. Belongs to its account."""

    period: Period
    from_unix: float = 0.0
    to_unix: float = 0.0
    """Unix seconds; a purse without an end has yet to be opened."""
    latest_unix: float = 0.0
    """When the latest period began that it was ever open for: clocks may be put back."""
    spent: float = 0.0
    reserved: float = 0.0

    @property
    def committed(self) -> float:
        """What is spent or set aside."""
        return self.spent + self.reserved


class Account:
    """The counts of one subject under one limit. Owned by the ledger."""

    def __init__(self, name: str, subject: str, policy: LimitPolicy) -> None:
        """Open it with nothing in it."""
        self.name = name
        self.subject = subject
        self.running = 0
        self.requests = Minute()
        self.tokens = Minute()
        self.payers: set[Charged] = set()
        """Who has spent something of it: what is looked up in the book when a period is opened."""
        self._purses = {period: Purse(period) for period in Period}
        self.govern(policy)

    def govern(self, policy: LimitPolicy) -> None:
        """Put `policy` in force; its purses are opened anew, since the time zone or whom it concerns may be another."""
        self.policy = policy
        self.binds = policy.binds
        self.dollars = tuple((self._purses[period], most) for period, most in policy.budgets)
        for purse in self._purses.values():
            purse.to_unix = 0.0

    def idle(self, now: float) -> bool:
        """Return whether it says nothing that a new one would not."""
        busy = self.running or self.payers or self.requests.taken(now) or self.tokens.taken(now)
        return not busy and not any(purse.reserved for purse in self._purses.values())

    def free(self) -> None:
        """Count nothing as set aside and nobody as a payer any more."""
        self.payers.clear()
        for purse in self._purses.values():
            purse.reserved = 0.0

    def crowded(self, tokens: int, now: float) -> Verdict | None:
        """Return why a request of about so many tokens is one too many, None where it is not."""
        policy = self.policy
        if policy.concurrent is not None and self.running >= policy.concurrent:
            what = f"concurrent = {policy.concurrent} is reached, {self.running} are under way"
            return self.verdict(what, SOON_S, "when one of them ends") if self.running else self.verdict(what, None)
        most = policy.requests_per_minute
        if most is not None and (wait_s := self.requests.frees_in(1, most, now)) > 0.0:
            return self.verdict(f"requests_per_minute = {most} is reached", wait_s)
        most = policy.tokens_per_minute
        if most is not None and (wait_s := self.tokens.frees_in(tokens, most, now)) > 0.0:
            taken = self.tokens.taken(now)
            return self.verdict(f"tokens_per_minute = {most} is reached: {taken} taken, about {tokens} more", wait_s)
        return None

    def verdict(self, what: str, frees_in_s: float | None, frees_at: str = "") -> Verdict:
        """Return a refusal in the name of this account."""
        return Verdict(
            name=self.name,
            subject=self.subject,
            policy=self.policy,
            what=what,
            frees_in_s=None if frees_in_s == math.inf else frees_in_s,
            frees_at=frees_at,
        )
