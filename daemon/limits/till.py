"""The till: where a session is let in, has money set aside for each attempt, and pays what it cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import anyio
import msgspec
import structlog

from daemon.limits.accounts import Verdict
from daemon.limits.ledger import Admission, Ledger, Moment, Reservation
from daemon.limits.policy import BudgetPolicy, Limits
from state.history.charges import Charged, ReservationRow
from state.history.rows import FlushRequested, RecorderMessage
from state.history.spending import Spending, Spent
from state.mailbox import Address, Reply
from state.prices import Price, ceiling_of
from state.targets import TargetName

__all__ = ["Asked", "Tab", "Till", "Watches"]

_log = structlog.get_logger("fairlead.limits")
_DURABLE_WITHIN_S: Final = 0.25
"""How long a request waits until its reservation is in the file; a history in trouble holds nobody up for longer."""
_MARGIN: Final = 4 / 3
"""What an estimate of the input's tokens is raised by when money is set aside: text that is no English has more."""


class Watches(Protocol):
    """Who is told of limits: metrics and alerts."""

    def limited(self, verdict: Verdict, charged: Charged) -> None:
        """Take note of a limit that a request was over, or near to, and of what that meant."""
        ...


class Asked(msgspec.Struct, frozen=True):
    """What one request asks for, as far as limits and prices go."""

    request_id: str
    charged: Charged
    tokens: int
    """About how many tokens its input has."""
    max_tokens: int | None
    """How many the answer may have, where the request says so."""
    choices: int = 1
    """How many such answers it asks for."""


class Till:
    """What sessions hold of the ledger. Its owner is the assembly."""

    def __init__(
        self, ledger: Ledger, recorder: Address[RecorderMessage], clocks: Callable[[], Moment], watches: Watches
    ) -> None:
        """Keep accounts in `ledger`, and in the history behind `recorder`."""
        self.ledger = ledger
        self.recorder = recorder
        self.moment = clocks
        self.watches = watches
        self._published: dict[tuple[str, str, str], tuple[float, ...]] = {}
        self.assume_output_tokens = BudgetPolicy().assume_output_tokens

    def replace(self, limits: Limits) -> None:
        """Put other limits in force."""
        self.ledger.replace(limits)
        self.assume_output_tokens = limits.budgets.assume_output_tokens

    def recall(self, spending: Spending) -> None:
        """Take in what was spent before this process began, and book what it left unsettled at its estimate."""
        moment = self.moment()
        self.ledger.recall(spending.spent)
        for each in spending.unsettled:
            self.recorder.post(each.as_attempt(moment.now))
            self.ledger.recall((Spent(each.charged, each.usd, moment.unix),))

    def admit(self, asked: Asked, prices: Mapping[TargetName, Price]) -> Tab | Verdict:
        """Let a request in, or return the limit that stands in its way."""
        if self.ledger.idle:
            return Tab(self, asked, prices, None)
        expected = asked.tokens + asked.choices * (asked.max_tokens or 0)
        found = self.ledger.admit(asked.charged, expected, self.moment())
        if isinstance(found, Verdict):
            self.watches.limited(found, asked.charged)
            return found
        for warning in found.warnings:
            self.watches.limited(warning, asked.charged)
        return Tab(self, asked, prices, found)

    def publish(self) -> None:
        """Write down how the limits in dollars stand, where that has changed."""
        for row in self.ledger.standing(self.moment()):
            stands = (row.from_unix, row.limit_usd, row.spent_usd, row.reserved_usd)
            key = (row.name, row.subject, row.period)
            if self._published.get(key) != stands:
                self._published[key] = stands
                self.recorder.post(row)


class Tab:
    """One request's side of it: what it was let in for, and what is set aside for its attempts."""

    def __init__(
        self, till: Till, asked: Asked, prices: Mapping[TargetName, Price], admission: Admission | None
    ) -> None:
        """Open it for a request that was let in; without an `admission` there are no limits to keep."""
        self._till = till
        self._asked = asked
        self._prices = prices
        self._admission = admission
        self._open: dict[int, tuple[Reservation, TargetName, int]] = {}

    @property
    def frugal(self) -> bool:
        """Whether the request is wanted at the cheapest target."""
        return self._admission is not None and self._admission.frugal

    @property
    def warnings(self) -> tuple[Verdict, ...]:
        """The limits that it is over, or near to, that let it through and mean it."""
        found = self._admission.warnings if self._admission else ()
        return tuple(each for each in found if not each.policy.shadow)

    async def reserve(self, ticket: int, target: TargetName, number: int) -> Verdict | None:
        """Set money aside for an attempt; return why there is none, or None where it may be made.

        Where a hard limit rests on it, it is in the history before the attempt is made: a process that is killed has
        then spent nothing that its successor does not know of.
        """
        if self._admission is None or ticket in self._open:
            return None
        moment = self._till.moment()
        usd = self._ceiling(target)
        found = self._till.ledger.reserve(self._admission, target, usd, moment.unix)
        if isinstance(found, Verdict):
            self._till.watches.limited(found, self._asked.charged)
            return found
        self._open[ticket] = (found, target, number)
        if found.binding:
            await self._write_down(self._row(found, target, number))
        return None

    def settle(self, ticket: int, usd: float | None) -> None:
        """Pay for an attempt; what nothing was set aside for is not asked about."""
        opened = self._open.pop(ticket, None)
        if opened is not None:
            self._till.ledger.settle(opened[0], usd, self._till.moment().unix)

    def close(self, tokens: int | None) -> None:
        """End the request, which took so many tokens, None where nobody counted; what was never sent costs nothing."""
        for ticket in list(self._open):
            self._take_back(ticket)
        admission, self._admission = self._admission, None
        if admission is not None:
            self._till.ledger.leave(admission, tokens, self._till.moment().now)

    def _take_back(self, ticket: int) -> None:
        """Settle what was set aside for an attempt that was never made; the history forgets it too."""
        reservation, target, number = self._open[ticket]
        self.settle(ticket, 0.0)
        if reservation.binding:
            row = self._row(msgspec.structs.replace(reservation, usd=0.0), target, number)
            self._till.recorder.post(row)

    def _ceiling(self, target: TargetName) -> float | None:
        price = self._prices.get(target)
        if price is None:
            return None
        output = self._asked.choices * (self._asked.max_tokens or self._till.assume_output_tokens)
        return ceiling_of(price, round(self._asked.tokens * _MARGIN), output)

    def _row(self, reservation: Reservation, target: TargetName, number: int) -> ReservationRow:
        return ReservationRow(
            at=self._till.moment().now,
            request_id=self._asked.request_id,
            number=number,
            target=target,
            charged=self._asked.charged,
            usd=reservation.usd,
        )

    async def _write_down(self, row: ReservationRow) -> None:
        """Wait until it is in the file, but not for long."""
        saved: Reply[bool] = Reply()
        self._till.recorder.post(row)
        self._till.recorder.post(FlushRequested(reply=saved))
        with anyio.move_on_after(_DURABLE_WITHIN_S):
            if await saved.wait():
                return
        _log.warning("reservation_not_saved", request_id=row.request_id, target=row.target)
