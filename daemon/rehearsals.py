"""Rehearsals: faults that an operator orders for the next requests of a workload, to see its fallbacks work."""

from __future__ import annotations

import msgspec

from state.faults import Fault
from state.targets import TargetName

__all__ = ["Rehearsal", "Rehearsals"]


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """One order."""

    workload: str
    fault: Fault
    count: int
    """How many requests see it."""
    target: TargetName | None = None
    """Only attempts there see it; any where None."""
    attempts: int = 1
    """How many of a request's first attempts see it."""
    by: str
    """Who ordered it."""


class Rehearsals:
    """The orders that are open. Sessions take from it on their own turn; nobody waits for it."""

    def __init__(self) -> None:
        """Start without any."""
        self._open: dict[str, Rehearsal] = {}

    def order(self, rehearsal: Rehearsal) -> None:
        """Put an order in place of the workload's former one; a count of 0 cancels that."""
        if rehearsal.count > 0:
            self._open[rehearsal.workload] = rehearsal
        else:
            self._open.pop(rehearsal.workload, None)

    def take(self, workload: str, target: TargetName, number: int, held: Rehearsal | None = None) -> Rehearsal | None:
        """Return the order that attempt `number` (from 1) of a request at `target` falls under; None for most.

        `held` is the order under which an earlier attempt of the same request fell: one request counts once.
        """
        order = held or self._open.get(workload)
        if order is None or number > order.attempts or order.target not in {None, target}:
            return None
        if held is None:
            self.order(msgspec.structs.replace(order, count=order.count - 1))
        return order

    def pending(self) -> tuple[Rehearsal, ...]:
        """Return the orders that are open."""
        return tuple(self._open.values())
