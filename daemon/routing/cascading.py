"""The order of a cascade: who is costlier than the target whose answer did not do."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from state.prices import Price, expected_cost
from state.targets import TargetName

__all__ = ["costlier"]


def costlier(
    origin: TargetName, targets: Collection[TargetName], prices: Mapping[TargetName, Price], tokens: tuple[int, float]
) -> tuple[TargetName, ...]:
    """Return those of `targets` that cost more than `origin` for a request of `tokens` of input and of output.

    Whose price is unknown stands above all prices, as where the cheapest is chosen; of several such each may follow
    any other.
    """
    costs = {target: _cost(prices.get(target), tokens) for target in (origin, *targets)}
    least = costs[origin]
    return tuple(
        target for target in targets if target != origin and (costs[target] > least or math.isinf(costs[target]))
    )


def _cost(price: Price | None, tokens: tuple[int, float]) -> float:
    return math.inf if price is None else expected_cost(price, *tokens)
