"""The ledger: what everybody has under way, has asked for within the minute, and has spent.

Called on a session's own turn of the loop, as the lease desk's counter is: a few numbers, no hop. Its state is its own,
and time is an argument. Money is set aside before a call and settled after it, so that what a hard limit lets through
is never more than the limit and what attempts under way cost beyond their estimates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from daemon.limits.accounts import Account, Purse, Verdict
from daemon.limits.book import Book
from daemon.limits.calendar import bounds_of, zone_named
from daemon.limits.policy import Limits, subject_of
from daemon.limits.rates import Claim
from daemon.limits.telling import lacking, running_out
from state.history.charges import BudgetRow, Charged
from state.history.spending import Spent
from state.targets import TargetName

__all__ = ["Admission", "Ledger", "Moment", "Reservation"]

_OWN: Final = "client"
_REMEMBERED: Final = 4096
"""Callers whose limits are kept at hand; beyond it all are looked up anew."""


class Moment(msgspec.Struct, frozen=True):
    """Now, on both clocks, in seconds: rates go by the monotonic one, days by the wall's."""

    now: float
    unix: float


class Admission(msgspec.Struct, frozen=True):
    """A request that was let in; whoever holds it gives it back."""

    charged: Charged
    accounts: tuple[Account, ...]
    claims: tuple[tuple[Account, Claim], ...]
    """What it has taken of tokens in the minute, by estimate."""
    warnings: tuple[Verdict, ...] = ()
    """The limits that it is over, or near to, and that do not refuse it."""

    @property
    def frugal(self) -> bool:
        """Whether one of them wants it at the cheapest target."""
        return any(each.policy.on_soft == "cheaper" and not each.policy.shadow for each in self.warnings)


class Reservation(msgspec.Struct, eq=False):
    """Money set aside for one attempt; whoever holds it settles it once, and only the ledger changes it."""

    charged: Charged
    purses: tuple[Purse, ...]
    usd: float
    binding: bool
    """Whether a hard limit rests on it, so that it has to survive the process."""


class Ledger:
    """All accounts. One owner; `admit`, `reserve`, `settle` and `leave` never wait."""

    def __init__(self, limits: Limits) -> None:
        """Open the accounts of `limits` as they are asked for."""
        self._accounts: dict[tuple[str, str], Account] = {}
        self._room = _REMEMBERED
        """Accounts that are opened before those are closed that say nothing any more."""
        self._held: set[Reservation] = set()
        self._now = 0.0
        self._known: dict[Charged, tuple[Account, ...]] = {}
        self._book = Book()
        self.replace(limits)

    def __repr__(self) -> str:
        """Show how many accounts are open."""
        return f"<Ledger accounts={len(self._accounts)}>"

    def replace(self, limits: Limits) -> None:
        """Put other limits in force: what was spent and what is set aside counts for those that are new, too."""
        self._limits = limits
        self._zone = zone_named(limits.budgets.timezone)
        self._known.clear()
        self._accounts = {key: each for key, each in self._accounts.items() if self._is_kept(each)}
        for account in self._accounts.values():
            account.govern(limits.by_name[account.name])
            account.free()
        self._open(self._book.charged)
        for reservation in self._held:
            self._hold(reservation)

    def recall(self, spent: Iterable[Spent]) -> None:
        """Take in what was spent before this process began."""
        for each in spent:
            self._book.add(each.charged, each.usd, each.unix)
        for account in self._accounts.values():
            account.govern(account.policy)
        self._open(self._book.charged)

    def admit(self, charged: Charged, tokens: int, moment: Moment) -> Admission | Verdict:
        """Let a request of about so many tokens in, or return the limit in its way: of several the one that frees last.

        What is no client's own request (`charged.purpose`) is counted in dollars alone.
        """
        self._now = moment.now
        accounts = self._concerned(charged)
        warnings: list[Verdict] = []
        refusals: list[Verdict] = []
        own = charged.purpose == _OWN
        for account in accounts:
            verdict = self._spent_up(account, moment.unix) if account.dollars else None
            if (verdict is None or not verdict.reached) and own:
                verdict = account.crowded(tokens, moment.now) or verdict
            if verdict is not None:
                (refusals if account.binds and verdict.reached else warnings).append(verdict)
        if refusals:
            return max(refusals, key=_wait)
        claims = []
        for account in accounts if own else ():
            account.running += 1
            if account.policy.requests_per_minute is not None:
                account.requests.take(1, moment.now)
            if account.policy.tokens_per_minute is not None:
                claims.append((account, account.tokens.take(tokens, moment.now)))
        return Admission(charged, accounts if own else (), tuple(claims), tuple(warnings))

    def leave(self, admission: Admission, tokens: int | None, now: float) -> None:
        """Take out a request that has ended with so many tokens; None leaves the estimate, where nobody counted."""
        for account in admission.accounts:
            account.running -= 1
        if tokens is not None:
            for account, claim in admission.claims:
                account.tokens.correct(claim, tokens, now)

    def reserve(
        self, admission: Admission, target: TargetName, usd: float | None, unix: float
    ) -> Reservation | Verdict:
        """Set money aside for an attempt that costs at most about `usd`, None for unknown; or say why there is none."""
        purses: list[Purse] = []
        binding = False
        for account in self._concerned(admission.charged):
            for purse, most in account.dollars:
                self._turn(account, purse, unix)
                if account.binds:
                    if usd is None or (usd and purse.spent + purse.reserved + usd > most):
                        return lacking(account, (purse, most), (target, usd), self._zone)
                    binding = True
                purses.append(purse)
        for purse in purses:
            purse.reserved += usd or 0.0
        reservation = Reservation(admission.charged, tuple(purses), usd or 0.0, binding)
        self._held.add(reservation)
        return reservation

    def settle(self, reservation: Reservation, usd: float | None, unix: float) -> None:
        """Put what an attempt really cost in the place of what was set aside; 0.0 gives all of it back."""
        if usd:
            for account in self._concerned(reservation.charged):
                account.payers.add(reservation.charged)
                for purse, _ in account.dollars:
                    self._turn(account, purse, unix)
                    purse.spent += usd
            self._book.add(reservation.charged, usd, unix)
        self._held.discard(reservation)
        for purse in reservation.purses:
            purse.reserved = max(0.0, purse.reserved - reservation.usd)

    def standing(self, moment: Moment) -> Iterator[BudgetRow]:
        """Yield how each limit in dollars stands."""
        for account in self._accounts.values():
            for purse, most in account.dollars:
                self._turn(account, purse, moment.unix)
                yield BudgetRow(
                    at=moment.now,
                    name=account.name,
                    subject=account.subject,
                    period=purse.period.value,
                    from_unix=purse.from_unix,
                    to_unix=purse.to_unix,
                    limit_usd=most,
                    spent_usd=purse.spent,
                    reserved_usd=purse.reserved,
                )

    def _concerned(self, charged: Charged) -> tuple[Account, ...]:
        known = self._known.get(charged)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            if len(self._accounts) >= self._room:
                self._close()
            limits = self._limits.by_name.items()
            named = [(name, subject_of(policy, charged), policy) for name, policy in limits if policy.concerns(charged)]
            known = self._known[charged] = tuple(
                self._accounts.setdefault((name, subject), Account(name, subject, policy))
                for name, subject, policy in named
            )
        return known

    def _is_kept(self, account: Account) -> bool:
        """Return whether an account goes on under the limits in force."""
        policy = self._limits.by_name.get(account.name)
        return policy is not None and policy.per == account.policy.per

    def _open(self, payers: Iterable[Charged]) -> None:
        """Open the accounts of everybody who has spent something, so that it shows how they stand."""
        for charged in payers:
            for account in self._concerned(charged):
                account.payers.add(charged)

    def _hold(self, reservation: Reservation) -> None:
        """Set aside again what is held, where it belongs now."""
        accounts = self._concerned(reservation.charged)
        reservation.purses = tuple(purse for account in accounts for purse, _ in account.dollars)
        for purse in reservation.purses:
            purse.reserved += reservation.usd

    def _close(self) -> None:
        """Close the accounts that say nothing a new one would not: callers may come under any number of names."""
        for account in self._accounts.values():
            account.payers = {each for each in account.payers if each in self._book}
        self._accounts = {key: each for key, each in self._accounts.items() if not each.idle(self._now)}
        self._known.clear()
        self._room = 2 * len(self._accounts) + _REMEMBERED

    def _turn(self, account: Account, purse: Purse, unix: float) -> None:
        """Begin a purse's next period where its time is over; one that is opened holds what the book has of it."""
        if purse.from_unix <= unix < purse.to_unix:
            return
        opened = purse.to_unix > 0.0
        purse.from_unix, purse.to_unix = bounds = bounds_of(purse.period, unix, self._zone)
        # While it is open everything that is spent passes through it: a period later than any has nothing yet.
        fresh = opened and purse.from_unix > purse.latest_unix
        purse.spent = 0.0 if fresh else self._book.sum(account.payers, *bounds)
        purse.latest_unix = max(purse.latest_unix, purse.from_unix)

    def _spent_up(self, account: Account, unix: float) -> Verdict | None:
        """Return what is to be said of the limits in dollars, first of one that is used up and frees last."""
        worst: Verdict | None = None
        for purse, most in account.dollars:
            self._turn(account, purse, unix)
            if purse.spent + purse.reserved >= most * account.policy.warn_at:
                verdict = running_out(account, (purse, most), unix, self._zone)
                worst = verdict if worst is None else max(worst, verdict, key=_weight)
        return worst


def _weight(verdict: Verdict) -> tuple[bool, float]:
    return verdict.reached, _wait(verdict)


def _wait(verdict: Verdict) -> float:
    return math.inf if verdict.frees_in_s is None else verdict.frees_in_s
