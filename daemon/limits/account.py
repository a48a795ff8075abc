"""One limit's counters for one subject. Owned by the ledger; what follows from them is decided in `judging`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from daemon.limits.calendar import Period, Window
from daemon.limits.policy import LimitPolicy
from daemon.limits.rates import frees_in, given_back, left_in, taken
from daemon.limits.words import Balance, Holder, LimitKind, billionths, dollars_of

__all__ = ["Account", "Purse"]

_WINDOWS_KEPT: Final = 2
"""Besides the current one: a clock that was wrong for a while finds what was spent in its proper day again."""


class Purse:
    """What one subject has spent of one limit in dollars, in the current day or month. Money is in billionths."""

    __slots__ = ("_elsewhere", "kind", "limit", "spent", "told", "unpriced", "warns_at", "window")

    def __init__(self, kind: LimitKind, usd: float, warn_at: float, window: Window) -> None:
        """Start `window` with nothing spent of `usd`."""
        self.kind = kind
        self.limit = billionths(usd)
        self.warns_at = min(self.limit, billionths(usd * warn_at))
        self.window = window
        self.spent = 0
        self.unpriced = 0
        """Attempts whose cost nobody knows."""
        self.told: set[str] = set()
        """What operators have heard of in this window."""
        self._elsewhere: dict[float, int] = {}

    def turn(self, window: Window) -> None:
        """Go on in another day or month, or in the rest of one that was left too early."""
        if window.begins == self.window.begins:
            return
        self._elsewhere[self.window.begins] = self.spent
        self.spent = self._elsewhere.pop(window.begins, 0)
        self.window, self.unpriced, self.told = window, 0, set()
        for begins in sorted(self._elsewhere)[:-_WINDOWS_KEPT]:
            del self._elsewhere[begins]

    @property
    def idle(self) -> bool:
        """Whether it says nothing that a new one would not."""
        return not (self.spent or self.unpriced or any(self._elsewhere.values()))


class Account:
    """What one limit counts for one subject."""

    __slots__ = ("attached", "holder", "policy", "purses", "refused", "requests", "reserved", "tokens", "under_way")

    def __init__(self, holder: Holder, policy: LimitPolicy, windows: Mapping[Period, Window]) -> None:
        """Count nothing yet."""
        self.holder = holder
        self.policy = policy
        self.attached = 0
        """Requests of every purpose that may spend from it."""
        self.under_way = 0
        self.requests = 0.0
        self.tokens = 0.0
        """Both are buckets of `daemon.limits.rates`."""
        self.reserved = 0
        """Set aside for attempts under way, whichever day they end in: in billionths of a dollar."""
        self.refused: dict[LimitKind, int] = {}
        bounds = (
            (LimitKind.USD_PER_DAY, policy.usd_per_day, windows[Period.DAY]),
            (LimitKind.USD_PER_MONTH, policy.usd_per_month, windows[Period.MONTH]),
        )
        self.purses = [Purse(kind, usd, policy.warn_at, window) for kind, usd, window in bounds if usd is not None]

    def idle(self, now: float) -> bool:
        """Return whether it says nothing that a new one would not."""
        busy = self.attached or self.under_way or self.reserved or self.requests > now or self.tokens > now
        return not (busy or self.refused) and all(purse.idle for purse in self.purses)

    @property
    def short(self) -> bool:
        """Whether so much of a budget is spent that it is time to warn."""
        for purse in self.purses:  # noqa: SIM110 - a generator costs more than the comparison
            if purse.spent >= purse.warns_at:
                return True
        return False

    def take(self, tokens: int, now: float) -> int:
        """Count a request that goes on; return how many of its tokens were counted: none where they do not fit."""
        self.under_way += 1
        rate = self.policy.requests_per_minute
        if rate is not None and not frees_in(self.requests, 1, rate, now):
            self.requests = taken(self.requests, 1, rate, now)
        rate = self.policy.tokens_per_minute
        if rate is None or frees_in(self.tokens, tokens, rate, now):
            return 0
        self.tokens = taken(self.tokens, tokens, rate, now)
        return tokens

    def correct(self, more: int, now: float) -> None:
        """Count `more` tokens than were taken, or fewer where that is below 0."""
        rate = self.policy.tokens_per_minute
        if rate is not None and more:
            self.tokens = taken(self.tokens, more, rate, now) if more > 0 else given_back(self.tokens, -more, rate)

    def balances(self, now: float) -> Iterator[Balance]:
        """Yield how each of its bounds stands at `now`, monotonic seconds."""
        policy = self.policy
        if (rate := policy.requests_per_minute) is not None:
            yield self._balance(LimitKind.REQUESTS, rate, rate - left_in(self.requests, rate, now))
        if (rate := policy.tokens_per_minute) is not None:
            yield self._balance(LimitKind.TOKENS, rate, rate - left_in(self.tokens, rate, now))
        if policy.concurrent is not None:
            yield self._balance(LimitKind.CONCURRENT, policy.concurrent, self.under_way)
        for purse in self.purses:
            yield Balance(
                limit=self.holder.limit,
                subject=self.holder.subject,
                kind=purse.kind,
                bound=dollars_of(purse.limit),
                used=dollars_of(purse.spent),
                reserved=dollars_of(self.reserved),
                refused=self.refused.get(purse.kind, 0),
                unpriced=purse.unpriced,
                window=purse.window,
                policy=policy,
            )

    def _balance(self, kind: LimitKind, bound: float, used: float) -> Balance:
        return Balance(
            limit=self.holder.limit,
            subject=self.holder.subject,
            kind=kind,
            bound=bound,
            used=round(used, 3),
            refused=self.refused.get(kind, 0),
            policy=self.policy,
        )
