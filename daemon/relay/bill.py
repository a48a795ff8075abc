"""What one request costs: each attempt by the provider's own counts, or by a guess that says that it is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from state.faults import Fault
from state.outcome import Outcome, Usage, Work
from state.prices import Price, cost_of, expected_cost
from state.targets import TargetName

__all__ = ["Bill", "Cost", "cost_of_attempt"]

_FREE: Final = 0.0
_INTERRUPTED: Final = frozenset({Fault.CANCELLED, Fault.CUT})
"""What a provider had begun to work at when it ended: it charges for that, and does not say what."""


class Cost(msgspec.Struct, frozen=True):
    """What an attempt cost."""

    usd: float | None = _FREE
    """None where it is unknown."""
    estimated: bool = False
    """Whether the provider counted nothing, so that tokens were estimated."""


class Bill:
    """The costs of one request's attempts so far. Owned by its journal."""

    def __init__(self, prices: Mapping[TargetName, Price], input_tokens: int, work: Work) -> None:
        """Charge by `prices`; `input_tokens` is about how many tokens the request has."""
        self._prices = prices
        self._input_tokens = input_tokens
        self._work = work
        self._by_target: dict[TargetName, float | None] = {}
        self._usage = Usage()
        self._uncounted = False

    def charge(self, target: TargetName, outcome: Outcome) -> Cost:
        """Add an attempt and return what it cost."""
        cost = Cost() if self._work is Work.COUNT else self._cost(target, outcome)
        self._usage = self._usage.plus(outcome.usage)
        self._uncounted |= cost.estimated or cost.usd is None
        before = self._by_target.get(target, _FREE)
        self._by_target[target] = None if before is None or cost.usd is None else before + cost.usd
        return cost

    def spent_at(self, target: TargetName) -> float | None:
        """Return what the attempts at one target cost, in dollars; None where that is unknown."""
        return self._by_target.get(target, _FREE)

    @property
    def total_usd(self) -> float | None:
        """What all attempts cost, in dollars; None where that of one is unknown, or where there were none."""
        costs = list(self._by_target.values())
        known = [cost for cost in costs if cost is not None]
        return sum(known) if costs and len(known) == len(costs) else None

    @property
    def tokens(self) -> int | None:
        """How many tokens all attempts took: none where all failed for nothing; None where nobody counted."""
        prompt, completion = self._usage.prompt_tokens, self._usage.completion_tokens
        uncounted = prompt is None and completion is None and self._uncounted
        return None if uncounted else (prompt or 0) + (completion or 0)

    def costliest_usd(self, targets: Sequence[TargetName], usage: Usage) -> float | None:
        """Return what the same tokens cost at the costliest of `targets`, None where no price or no count is known."""
        costs = [cost_of(price, usage) for target in targets if (price := self._prices.get(target)) is not None]
        return max((cost for cost in costs if cost is not None), default=None)

    def _cost(self, target: TargetName, outcome: Outcome) -> Cost:
        return cost_of_attempt(self._prices.get(target), outcome, self._input_tokens)


def cost_of_attempt(price: Price | None, outcome: Outcome, input_tokens: int) -> Cost:
    """Return what an attempt cost at `price`.

    What failed before anything was counted or said is free: no provider of a price list that is known charges for its
    errors. What was interrupted is taken to have cost its input and what it had said.
    """
    counted = outcome.usage != Usage()
    interrupted = outcome.fault in _INTERRUPTED and bool(outcome.latency_s)
    if not (counted or interrupted or outcome.said or outcome.succeeded):
        return Cost()
    if price is None:
        return Cost(None)
    if counted and not outcome.said and (usd := cost_of(price, outcome.usage)) is not None:
        return Cost(usd)
    said = max(outcome.said, float(outcome.tokens or 0), float(outcome.usage.completion_tokens or 0))
    return Cost(expected_cost(price, outcome.usage.prompt_tokens or input_tokens, said), estimated=True)
