"""The strategies: each gives the targets that could take a request a score, the lowest of which is chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from daemon.routing.policy import Strategy, Workload
from state.standing import Standing, TargetHealth

__all__ = ["STRATEGIES", "Contender", "Scored", "Turn"]

_TRIAL = -1.0
"""Before every latency: a target on probation gets its one trial, or it would never come back."""
_CROWDED = 1e3
"""After every latency: nothing is known of an unproven target but that somebody is finding out."""


class Contender(msgspec.Struct, frozen=True):
    """A target that could take the request now."""

    index: int
    """Its place in the workload's `targets`."""
    health: TargetHealth
    in_flight: int


class Turn(msgspec.Struct, frozen=True):
    """What changes from choice to choice: whose turn it is, and the seed of what is drawn."""

    next_index: int = 0
    seed: int = 0


Scored = tuple[float, Mapping[str, float]]
"""A score, lower is better, and the terms it was made of."""


def _lowest_latency(contenders: Sequence[Contender], _: Workload, __: Turn) -> list[Scored]:
    return [_latency(contender) for contender in contenders]


def _latency(contender: Contender) -> Scored:
    health = contender.health
    expected = health.expected_s
    if health.standing is Standing.PROBATION:
        return _TRIAL, {"trial": 1.0}
    if health.standing is Standing.UNPROVEN and contender.in_flight:
        return _CROWDED * contender.in_flight + (expected or 0.0), {"unproven_in_flight": float(contender.in_flight)}
    if expected is None:
        return 0.0, {"unknown": 1.0}
    return expected, {"expected_s": expected}


def _priority(contenders: Sequence[Contender], _: Workload, __: Turn) -> list[Scored]:
    return [(float(contender.index), {"place": float(contender.index)}) for contender in contenders]


def _round_robin(contenders: Sequence[Contender], workload: Workload, turn: Turn) -> list[Scored]:
    count = len(workload.targets)
    distances = [float((contender.index - turn.next_index) % count) for contender in contenders]
    return [(distance, {"turns_away": distance}) for distance in distances]


def _weighted(contenders: Sequence[Contender], workload: Workload, turn: Turn) -> list[Scored]:
    """Race exponential clocks: the first to ring is drawn with a chance in proportion to its rate, the weight."""
    scored: list[Scored] = []
    for contender in contenders:
        weight = workload.weights[contender.index] if workload.weights else 1.0
        scored.append((-math.log(_uniform(turn.seed, contender.index)) / weight, {"weight": weight}))
    return scored


def _uniform(seed: int, index: int) -> float:
    """Return a number in (0, 1) that depends on nothing else: one step of splitmix64 (Steele, Lea, Flood 2014)."""
    word = (seed * 0x9E3779B97F4A7C15 + (index + 1) * 0xD1342543DE82EF95) & 0xFFFFFFFFFFFFFFFF
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return ((word ^ (word >> 31)) + 0.5) / 2.0**64


STRATEGIES: Final[Mapping[Strategy, Callable[[Sequence[Contender], Workload, Turn], list[Scored]]]] = {
    Strategy.LOWEST_LATENCY: _lowest_latency,
    Strategy.PRIORITY: _priority,
    Strategy.ROUND_ROBIN: _round_robin,
    Strategy.WEIGHTED: _weighted,
}
