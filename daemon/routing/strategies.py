"""The strategies: each gives the targets that could take a request a score, the lowest of which is chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from daemon.routing.latency import Contender, Scored, by_latency
from daemon.routing.policy import Strategy, Workload

__all__ = ["STRATEGIES", "Moment", "Turn"]


class Turn(msgspec.Struct, frozen=True):
    """What changes from choice to choice: whose turn it is, and the seed of what is drawn."""

    next_index: int = 0
    seed: int = 0


class Moment(msgspec.Struct, frozen=True):
    """What a strategy knows besides the contenders."""

    workload: Workload
    turn: Turn
    now: float
    tokens: float
    """How long the answer is expected to be."""


def _lowest_latency(contenders: Sequence[Contender], moment: Moment) -> list[Scored]:
    return by_latency(contenders, moment.tokens, moment.now)


def _priority(contenders: Sequence[Contender], _: Moment) -> list[Scored]:
    return [(float(contender.index), {"place": float(contender.index)}) for contender in contenders]


def _round_robin(contenders: Sequence[Contender], moment: Moment) -> list[Scored]:
    count = len(moment.workload.targets)
    distances = [float((contender.index - moment.turn.next_index) % count) for contender in contenders]
    return [(distance, {"turns_away": distance}) for distance in distances]


def _weighted(contenders: Sequence[Contender], moment: Moment) -> list[Scored]:
    """Race exponential clocks: the first to ring is drawn with a chance in proportion to its rate, the weight."""
    scored: list[Scored] = []
    for contender in contenders:
        weights = moment.workload.weights
        weight = weights[contender.index] if weights else 1.0
        scored.append((-math.log(_uniform(moment.turn.seed, contender.index)) / weight, {"weight": weight}))
    return scored


def _uniform(seed: int, index: int) -> float:
    """Return a number in (0, 1) that depends on nothing else: one step of splitmix64 (Steele, Lea, Flood 2014)."""
    word = (seed * 0x9E3779B97F4A7C15 + (index + 1) * 0xD1342543DE82EF95) & 0xFFFFFFFFFFFFFFFF
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return ((word ^ (word >> 31)) + 0.5) / 2.0**64


STRATEGIES: Final[Mapping[Strategy, Callable[[Sequence[Contender], Moment], list[Scored]]]] = {
    Strategy.LOWEST_LATENCY: _lowest_latency,
    Strategy.PRIORITY: _priority,
    Strategy.ROUND_ROBIN: _round_robin,
    Strategy.WEIGHTED: _weighted,
}
