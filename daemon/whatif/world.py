"""What a course lives in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from daemon.routing.leases import Choice, RouteQuery
from daemon.routing.policy import Routes
from daemon.whatif.costing import Prices
from daemon.whatif.endings import Result
from daemon.whatif.neighbours import Answer, Neighbours
from state.standing import HealthSnapshot

__all__ = ["World"]


class World(Protocol):
    """What a course lives in: the clock's events, what is known, and what is under way."""

    routes: Routes
    neighbours: Neighbours
    prices: Prices

    def snapshot(self, now: float) -> HealthSnapshot:
        """Return what would be known of the targets."""
        ...

    def choose(self, query: RouteQuery, now: float) -> Choice:
        """Return where `query` would go."""
        ...

    def ready_at(self, query: RouteQuery, now: float) -> float | None:
        """Return when some target may take it."""
        ...

    def sent(self, choice: Choice, query: RouteQuery, answer: Answer, now: float) -> None:
        """Note an attempt that is under way from now until its expected end."""
        ...

    def wake(self, go_on: Callable[[float], object], at: float) -> None:
        """Call `go_on` at that time, with it."""
        ...

    def done(self, result: Result) -> None:
        """Take in what came of it."""
        ...
