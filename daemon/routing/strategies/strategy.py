"""What a strategy is: a pure scoring of contenders, and the words for what it prefers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from daemon.routing.latency import Contender, Scored
from daemon.routing.policy import Workload
from state.prices import expected_cost

__all__ = ["Moment", "OrdersTargets", "Turn", "cost_of_contender"]


class Turn(msgspec.Struct, frozen=True):
    """What changes from choice to choice: whose turn it is, and the seed of what is drawn."""

    next_index: int = 0
    seed: int = 0


class Moment(msgspec.Struct, frozen=True):
    """What a strategy knows besides the contenders."""

    workload: Workload
    turn: Turn
    now: float
    """Monotonic seconds."""
    tokens: float
    """How long the answer is expected to be."""
    input_tokens: int = 0
    """About how many tokens the request has."""


class OrdersTargets(Protocol):
    """A strategy. Others are found by the entry point group `fairlead.strategies`, under the name that workloads write.

    Both methods are pure: the same arguments give the same result, or a recorded choice could not be made again.
    """

    def scored(self, contenders: Sequence[Contender], moment: Moment) -> list[Scored]:
        """Return a score for each contender, in their order, with its terms by name; the lowest score is chosen."""
        ...

    def reason(self, terms: Mapping[str, float]) -> str:
        """Return in one line why the target with these terms was chosen."""
        ...


def cost_of_contender(contender: Contender, moment: Moment) -> float | None:
    """Return what the request is expected to cost at a contender, in dollars; None where its price is unknown."""
    if contender.price is None:
        return None
    return expected_cost(contender.price, moment.input_tokens, moment.tokens)
