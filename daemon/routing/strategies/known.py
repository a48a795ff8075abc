"""Which strategies there are: those that come with fairlead, and those that other packages bring."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

from daemon.routing.policy import Strategy
from daemon.routing.strategies.estimated import Cheapest, LowestLatency
from daemon.routing.strategies.plain import Priority, RoundRobin, Weighted
from daemon.routing.strategies.strategy import OrdersTargets
from state.errors import FairleadError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

__all__ = ["GROUP", "UnknownStrategy", "strategy_named", "strategy_names"]

GROUP: Final = "fairlead.strategies"
"""The entry point group: each names an object, or a class without arguments, that is an `OrdersTargets`."""
_OWN: Final[Mapping[str, OrdersTargets]] = {
    Strategy.LOWEST_LATENCY: LowestLatency(),
    Strategy.PRIORITY: Priority(),
    Strategy.ROUND_ROBIN: RoundRobin(),
    Strategy.WEIGHTED: Weighted(),
    Strategy.CHEAPEST: Cheapest(),
    Strategy.COMPLEXITY: LowestLatency(),
    Strategy.TASK: LowestLatency(),
    Strategy.CASCADE: Cheapest(),
}


class UnknownStrategy(FairleadError):
    """A workload, or a recorded choice, names a strategy that nobody brings."""


def strategy_named(name: str) -> OrdersTargets:
    """Return the strategy of that name. Raises UnknownStrategy where there is none, or its package cannot be loaded."""
    return _OWN.get(name) or _foreign(name)


def strategy_names() -> tuple[str, ...]:
    """Return the names of all strategies that there are; those of other packages are not loaded for it."""
    return (*_OWN, *sorted(point.name for point in _brought() if point.name not in _OWN))


def _brought() -> EntryPoints:
    """Return what other packages bring."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - looks through all that is installed, for few

    return entry_points(group=GROUP)


@cache
def _foreign(name: str) -> OrdersTargets:
    for point in _brought().select(name=name):
        try:
            found = point.load()
        except (ImportError, AttributeError) as error:
            raise UnknownStrategy(f"the strategy {name} ({point.value}) cannot be loaded: {error}") from error
        made: OrdersTargets = found() if isinstance(found, type) else found
        return made
    raise UnknownStrategy(f"there is no strategy {name}")
