"""The strategies that need no estimate: in order, in turn, drawn by weight."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from daemon.routing.latency import Contender, Scored
from daemon.routing.strategies.strategy import Moment

__all__ = ["Priority", "RoundRobin", "Weighted", "uniform"]


class Priority:
    """The workload's own order."""

    def scored(self, contenders: Sequence[Contender], _: Moment) -> list[Scored]:
        """Return each contender's place in it."""
        return [(float(contender.index), {"place": float(contender.index)}) for contender in contenders]

    def reason(self, _: Mapping[str, float]) -> str:
        """Return why."""
        return "first in order"


class RoundRobin:
    """One after the other."""

    def scored(self, contenders: Sequence[Contender], moment: Moment) -> list[Scored]:
        """Return how many turns away each contender is."""
        count = len(moment.workload.targets)
        distances = [float((contender.index - moment.turn.next_index) % count) for contender in contenders]
        return [(distance, {"turns_away": distance}) for distance in distances]

    def reason(self, _: Mapping[str, float]) -> str:
        """Return why."""
        return "its turn"


class Weighted:
    """Drawn by weight: exponential clocks race, and the first rings with a chance in proportion to its rate."""

    def scored(self, contenders: Sequence[Contender], moment: Moment) -> list[Scored]:
        """Return when each contender's clock rings."""
        scored: list[Scored] = []
        weights = moment.workload.weights
        for contender in contenders:
            weight = weights[contender.index] if weights else 1.0
            scored.append((-math.log(uniform(moment.turn.seed, contender.index)) / weight, {"weight": weight}))
        return scored

    def reason(self, _: Mapping[str, float]) -> str:
        """Return why."""
        return "drawn by weight"


def uniform(seed: int, index: int) -> float:
    """Return a number in (0, 1) that depends on nothing else: one step of splitmix64 (Steele, Lea, Flood 2014)."""
    word = (seed * 0x9E3779B97F4A7C15 + (index + 1) * 0xD1342543DE82EF95) & 0xFFFFFFFFFFFFFFFF
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return ((word ^ (word >> 31)) + 0.5) / 2.0**64
