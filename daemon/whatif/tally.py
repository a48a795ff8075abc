"""The sums of a simulation: before and after, over the requests of which both are known."""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

from daemon.whatif.endings import Ending, Result
from daemon.whatif.neighbours import Basis

__all__ = ["Findings", "Latencies", "Side", "Tally"]

_SHORTEST_S: Final = 1e-4
_STEP: Final = 1.02
"""Latencies that differ by at most 2 % are counted as one, as in the history's own roll-ups: they are 1 % off."""


class Latencies:
    """A sketch of a distribution: as large for a million latencies as for a thousand."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._weights: dict[int, float] = {}

    def add(self, seconds: float, weight: float) -> None:
        """Count a latency."""
        bucket = max(0, math.ceil(math.log(max(seconds, _SHORTEST_S) / _SHORTEST_S, _STEP)))
        self._weights[bucket] = self._weights.get(bucket, 0.0) + weight

    def quantile(self, share: float) -> float | None:
        """Return how many seconds that share of them took at most, None where there are none."""
        left = share * sum(self._weights.values())
        for bucket in sorted(self._weights):
            left -= self._weights[bucket]
            if left <= 1e-9:  # noqa: PLR2004 - what sums of weights are off by
                return float(_SHORTEST_S * _STEP**bucket / ((1.0 + _STEP) / 2.0))
        return None


class Side:
    """How requests went, either as they were recorded or as they are expected to have gone."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.failures = 0.0
        self.attempts = 0.0
        self.latencies = Latencies()
        """Of the requests that were answered."""

    def add(self, ending: Ending) -> None:
        """Count one ending with its weight."""
        self.attempts += ending.weight * ending.attempts
        if ending.outcome == "failed":
            self.failures += ending.weight
        elif ending.outcome == "ok":
            self.latencies.add(ending.latency_s, ending.weight)


class Tally:
    """The sums of one workload, or of all."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.requests = 0
        self.bases: Counter[Basis] = Counter()
        self.before, self.after = Side(), Side()
        """Both of the same requests: those of which it is known how they would have gone."""
        self.cost_before = self.cost_after = 0.0
        self.costs = 0
        """Of how many requests both costs are known."""
        self.costs_estimated = 0
        """Of how many of those the expected cost is an estimate."""
        self.costs_repriced = 0
        """Of how many of those no cost was recorded, and both are counted at the new prices."""
        self.first_before: Counter[str | None] = Counter()
        self.first_after: Counter[str | None] = Counter()
        """Where requests went first, whether or not it is known what came of it; not of those that nobody can sort."""

    @property
    def compared(self) -> int:
        """How many requests the figures are of."""
        return self.requests - self.bases[Basis.UNKNOWN]

    def add(self, result: Result) -> None:
        """Count one request."""
        self.requests += 1
        self.bases[result.basis] += 1
        self.first_before[result.first_before] += 1
        self.first_after[result.first_after] += not result.unsorted
        if result.basis is Basis.UNKNOWN:
            return
        self.before.add(result.before)
        for ending in result.after:
            self.after.add(ending)
        self._add_cost(result)

    def _add_cost(self, result: Result) -> None:
        before = result.before.cost_usd
        after = [(ending.weight, ending.cost_usd) for ending in result.after]
        known = [weight * cost for weight, cost in after if cost is not None]
        if before is None or len(known) < len(after):
            return
        self.costs += 1
        self.costs_estimated += any(ending.estimated for ending in result.after)
        self.costs_repriced += result.repriced
        self.cost_before += before
        self.cost_after += sum(known)


class Findings:
    """Everything that a simulation comes to."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.total = Tally()
        self.workloads: dict[str, Tally] = {}
        self.unasked: Counter[str] = Counter()
        """Of the requests that are unknown, where they would have gone."""
        self.without_setting = 0
        """Requests of which no choice is recorded: what they needed of a target is not known."""
        self.unsorted = 0
        """Requests that are unknown since nobody wrote down what they are: their tier, their task."""
        self.unjudged = 0
        """Requests whose answer is taken as good though a cascade would have looked at it."""

    @property
    def tables(self) -> list[tuple[str, Tally]]:
        """Each workload by name, and all of them where there is more than one."""
        named = sorted(self.workloads.items())
        return [*named, ("all workloads", self.total)] if len(named) > 1 else named

    def add(self, result: Result) -> None:
        """Count one request."""
        request = result.request
        self.total.add(result)
        if request.workload not in self.workloads:
            self.workloads[request.workload] = Tally()
        self.workloads[request.workload].add(result)
        self.without_setting += not request.settings
        self.unsorted += result.unsorted
        self.unjudged += result.unjudged
        if result.basis is Basis.UNKNOWN and not result.unsorted:
            self.unasked[result.unknown_at or ""] += 1
