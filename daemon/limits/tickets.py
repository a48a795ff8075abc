"""What the ledger hands out, and alone writes: an admission for each request, a reservation for each attempt."""

from __future__ import annotations

from typing import Final

import msgspec

from daemon.limits.account import Account
from daemon.limits.words import Notice
from state.history.charges import Charged
from state.targets import TargetName

__all__ = ["Admission", "Concerned", "Reservation"]

_CLIENT: Final = "client"


class Concerned(msgspec.Struct, frozen=True):
    """The accounts that count a request, in the limits' order."""

    counting: tuple[Account, ...] = ()
    """Those that count requests or tokens."""
    paying: tuple[Account, ...] = ()
    """Those that count money."""


class Admission:
    """A request that was let in, until `Ledger.done`."""

    __slots__ = ("charged", "counted", "counting", "frugal", "notices", "over", "paying", "reservations", "tokens")

    def __init__(self, charged: Charged, concerned: Concerned, tokens: int) -> None:
        """Let in a request of about `tokens`. What is no client's own is counted in money alone."""
        self.charged = charged
        self.tokens = tokens
        self.counting = concerned.counting if charged.purpose == _CLIENT else ()
        self.paying = concerned.paying
        self.counted: list[int] = []
        """How many of its tokens each of `counting` has counted; empty until it is let in."""
        self.notices: list[Notice] = []
        """What is told of it: budgets nearly spent, limits that would have refused it."""
        self.frugal = False
        """Whether money is short, and the cheapest target is wanted."""
        self.reservations: list[Reservation] = []
        """Those of its attempts under way."""
        self.over = False


class Reservation:
    """Money set aside for one attempt, until `Ledger.settle`."""

    __slots__ = ("admission", "amount", "binding", "open", "target")

    def __init__(self, admission: Admission, target: TargetName, amount: int) -> None:
        """Set `amount` billionths of a dollar aside for an attempt at `target`."""
        self.admission = admission
        self.target = target
        self.amount = amount
        self.binding = False
        """Whether a hard limit in dollars stands on it: it must outlive a crash."""
        self.open = True
