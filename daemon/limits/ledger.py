"""The ledger: what every caller has under way, has spent, and may still spend.

It belongs to nobody's task: its methods are called on the session's own turn, as the alarm's are, and never wait. A
request is admitted, each of its attempts reserves what it may cost at most, and settles what it did cost; what was
reserved is given back as a whole by then. Times are monotonic seconds (`now`) and Unix seconds (`wall`).

A reservation belongs to no day: it will be spent in the one in which its attempt ends, as the history counts it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from daemon.limits.account import Account
from daemon.limits.accounts import Accounts
from daemon.limits.calendar import zone_named
from daemon.limits.judging import crowded, first_time, notice_of, spent_up, unpayable, warnings
from daemon.limits.policy import BudgetPolicy, LimitPolicy
from daemon.limits.tally import Spent
from daemon.limits.tickets import Admission, Reservation
from daemon.limits.words import Balance, Refused, billionths
from state.history.charges import Charged
from state.targets import TargetName

__all__ = ["Ledger"]


class Ledger:
    """Owns all counters. What it decides, functions of those counters decide (`judging`, `rates`, `calendar`)."""

    def __init__(self, limits: Mapping[str, LimitPolicy], budgets: BudgetPolicy, wall: float) -> None:
        """Keep `limits` from the Unix time `wall` on, with nothing spent."""
        self._accounts = Accounts(limits, zone_named(budgets.timezone), wall)
        self._under_way: set[Admission] = set()

    def recover(self, spent: Iterable[Spent], wall: float) -> None:
        """Take in what was spent before the process started."""
        self._accounts.turn(wall)
        for each in spent:
            self._accounts.recall(each)

    def replace(self, limits: Mapping[str, LimitPolicy], wall: float) -> None:
        """Keep other limits from now on; what was spent, and what is under way, counts for them too.

        The time zone stays: what was spent is known by its days.
        """
        self._accounts = self._accounts.under(limits, wall)
        for admission in self._under_way:
            self._accounts.take_over(admission)

    def admit(self, charged: Charged, tokens: int, now: float, wall: float) -> Admission | Refused:
        """Let a request of about `tokens` in, or say which limit is in its way: of several, one that frees late.

        What is no client's own request (`charged.purpose`) is counted in money alone.
        """
        self._accounts.turn(wall)
        admission = Admission(charged, self._accounts.of(charged, now), tokens)
        refused = self._spent_up(admission, wall) or self._crowded(admission, now)
        if refused is not None:
            return refused
        for account in admission.paying:
            account.attached += 1
        admission.counted = [account.take(tokens, now) for account in admission.counting]
        self._under_way.add(admission)
        return admission

    def reserve(
        self, admission: Admission, target: TargetName, usd: float | None, wall: float
    ) -> Reservation | Refused:
        """Set aside the most that an attempt at `target` can cost, or say which budget has no room for it.

        None stands for an unknown price. What it may cost is then unknown too, so no hard budget pays for it.
        """
        self._accounts.turn(wall)
        amount, binding = None if usd is None else billionths(usd), False
        for account in admission.paying:
            refused = unpayable(account, target, amount, self._accounts.zone)
            if refused is not None and (refused := self._weighed(account, admission, refused)) is not None:
                return refused
            binding = binding or account.policy.refuses
        reservation = Reservation(admission, target, amount or 0)
        reservation.binding = binding
        for account in admission.paying:
            account.reserved += reservation.amount
        admission.reservations.append(reservation)
        return reservation

    def settle(self, reservation: Reservation, usd: float | None, wall: float) -> None:
        """Book what an attempt did cost, and give back what was set aside; 0.0 where nothing is to be paid.

        None, for a cost that nobody knows, books nothing and is counted. A second time changes nothing.
        """
        if not reservation.open:
            return
        reservation.open = False
        self._accounts.turn(wall)
        admission = reservation.admission
        admission.reservations.remove(reservation)
        for account in admission.paying:
            account.reserved -= reservation.amount
        self._accounts.book(admission, usd)

    def done(self, admission: Admission, tokens: int | None, now: float) -> None:
        """Note the end of a request that took `tokens`, as far as providers counted them.

        What of its attempts was not settled is given back. A second time changes nothing.
        """
        if admission.over:
            return
        admission.over = True
        self._under_way.discard(admission)
        for account, counted in zip(admission.counting, admission.counted, strict=True):
            account.under_way -= 1
            if tokens is not None:
                account.correct(tokens - counted, now)
        for account in admission.paying:
            account.attached -= 1
        for reservation in admission.reservations:
            reservation.open = False
            for account in admission.paying:
                account.reserved -= reservation.amount
        admission.reservations.clear()

    def balances(self, now: float, wall: float) -> tuple[Balance, ...]:
        """Return how every bound of every limit stands, for each subject that it knows, in the limits' order."""
        self._accounts.turn(wall)
        return tuple(balance for account in self._accounts.all() for balance in account.balances(now))

    def _spent_up(self, admission: Admission, wall: float) -> Refused | None:
        """Return the refusal of the budgets, and note those that are short."""
        found: Refused | None = None
        for account in admission.paying:
            if not account.short:
                continue
            for notice in warnings(account, self._accounts.zone):
                admission.notices.append(notice)
                admission.frugal = admission.frugal or account.policy.saves
            refused = spent_up(account, wall, self._accounts.zone)
            if refused is not None and (refused := self._weighed(account, admission, refused)) is not None:
                found = refused if found is None else max(found, refused, key=_wait)
        return found

    def _crowded(self, admission: Admission, now: float) -> Refused | None:
        found: Refused | None = None
        for account in admission.counting:
            refused = crowded(account, admission.tokens, now)
            if refused is not None and (refused := self._weighed(account, admission, refused)) is not None:
                found = refused if found is None else max(found, refused, key=_wait)
        return found

    def _weighed(self, account: Account, admission: Admission, refused: Refused) -> Refused | None:
        """Count a refusal, and return it where the limit is a hard one; else note what would have been.

        That a soft budget is spent is told by its warnings already.
        """
        account.refused[refused.kind] = account.refused.get(refused.kind, 0) + 1
        fresh = first_time(account, refused)
        if account.policy.refuses:
            return replace(refused, fresh=fresh)
        if account.policy.shadow or not refused.kind.is_money:
            admission.notices.append(replace(notice_of(account.policy, refused), fresh=fresh))
        admission.frugal = admission.frugal or account.policy.saves
        return None


def _wait(refused: Refused) -> float:
    return math.inf if refused.retry_after_s is None else refused.retry_after_s
