"""The accounts of all limits: which of them a caller's request concerns, and the day and month that they are in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Final

from daemon.limits.account import Account
from daemon.limits.calendar import Period, Window, window_at
from daemon.limits.policy import LimitPolicy
from daemon.limits.tally import Spent, Tally
from daemon.limits.tickets import Admission, Concerned
from daemon.limits.words import Holder, LimitKind, billionths
from state.history.charges import Charged

__all__ = ["Accounts"]

_ROOM: Final = 1_000
"""New accounts that are made before those that say nothing are looked for."""


class Accounts:
    """Holds an account for each limit and each subject that it counts apart. Owned by the ledger."""

    def __init__(
        self, limits: Mapping[str, LimitPolicy], zone: tzinfo, wall: float, tally: Tally | None = None
    ) -> None:
        """Keep `limits` from Unix time `wall` on, in days of `zone`, with what `tally` says was spent."""
        self.zone = zone
        self._limits = limits
        self._held: dict[Holder, Account] = {}
        self._found: dict[tuple[str, str, str], Concerned] = {}
        self._sweep_at = _ROOM
        self._tally = tally or Tally()
        self._day, self._month = (window_at(period, wall, self.zone) for period in (Period.DAY, Period.MONTH))
        for charged, day, amount in self._tally.each():
            self._credit(charged, day, amount)

    def under(self, limits: Mapping[str, LimitPolicy], wall: float) -> Accounts:
        """Return the accounts of other limits, with what was spent, and with the rates of those that stay."""
        changed = Accounts(limits, self.zone, wall, self._tally)
        for holder, account in self._held.items():
            if (policy := limits.get(holder.limit)) is not None and policy.per is holder.per:
                kept = changed._account(holder, policy)
                kept.requests, kept.tokens, kept.refused = account.requests, account.tokens, account.refused
        return changed

    def take_over(self, admission: Admission) -> None:
        """Count a request that is under way, for the limits that concern it now."""
        concerned, before = self.of(admission.charged, 0.0), admission.counting
        tokens = {account.holder: tokens for account, tokens in zip(before, admission.counted, strict=True)}
        reserved = sum(reservation.amount for reservation in admission.reservations)
        admission.paying = concerned.paying
        admission.counting = concerned.counting if admission.charged.purpose == "client" else ()
        admission.counted = [tokens.get(account.holder, 0) for account in admission.counting]
        for account in admission.counting:
            account.under_way += 1
        for account in admission.paying:
            account.attached += 1
            account.reserved += reserved

    def turn(self, wall: float) -> None:
        """Go on in the day and month of Unix time `wall`."""
        if self._day.begins <= wall < self._day.ends:
            return
        self._day, self._month = (window_at(period, wall, self.zone) for period in (Period.DAY, Period.MONTH))
        self._tally.forget_before(self._month)
        for account in self._held.values():
            for purse in account.purses:
                purse.turn(self._window_of(purse.kind))

    def of(self, charged: Charged, now: float) -> Concerned:
        """Return the accounts of a request, in the limits' order."""
        who = (charged.workload, charged.team, charged.user)
        found = self._found.get(who)
        if found is None:
            if len(self._held) + len(self._found) > self._sweep_at:
                self._sweep(now)
            found = self._found[who] = self._concerned(charged)
        return found

    def all(self) -> Iterator[Account]:
        """Yield every account, in the limits' order, then by subject."""
        order = {name: number for number, name in enumerate(self._limits)}
        yield from sorted(self._held.values(), key=lambda each: (order[each.holder.limit], each.holder.subject))

    def book(self, admission: Admission, usd: float | None) -> None:
        """Add what an attempt cost to the current day and month; None is counted and adds nothing."""
        if usd is None:
            for account in admission.paying:
                for purse in account.purses:
                    purse.unpriced += 1
        elif amount := billionths(usd):
            self._tally.add(admission.charged, self._day.begins, amount)
            for account in admission.paying:
                for purse in account.purses:
                    purse.spent += amount

    def recall(self, spent: Spent) -> None:
        """Add what was spent before."""
        day, amount = window_at(Period.DAY, spent.at, self.zone).begins, billionths(spent.usd)
        self._tally.add(spent.charged, day, amount)
        self._credit(spent.charged, day, amount)

    def _credit(self, charged: Charged, day: float, amount: int) -> None:
        for account in self.of(charged, 0.0).paying:
            for purse in account.purses:
                if day in purse.window:
                    purse.spent += amount

    def _concerned(self, charged: Charged) -> Concerned:
        found = [
            self._account(Holder(name, policy.per, policy.subject_of(charged)), policy)
            for name, policy in self._limits.items()
            if policy.concerns(charged)
        ]
        counting, paying = (
            (account for account in found if account.policy.counts),
            (each for each in found if each.purses),
        )
        return Concerned(tuple(counting), tuple(paying))

    def _account(self, holder: Holder, policy: LimitPolicy) -> Account:
        found = self._held.get(holder)
        if found is None:
            windows = {Period.DAY: self._day, Period.MONTH: self._month}
            found = self._held[holder] = Account(holder, policy, windows)
        return found

    def _sweep(self, now: float) -> None:
        """Let go of accounts that say nothing a new one would not: callers may come under any number of names."""
        self._held = {holder: account for holder, account in self._held.items() if not account.idle(now)}
        self._found.clear()
        self._sweep_at = 2 * len(self._held) + _ROOM

    def _window_of(self, kind: LimitKind) -> Window:
        return self._day if kind is LimitKind.USD_PER_DAY else self._month
