"""What one decision costs: `python -m benchmarks.decision` times `choose` over fleets of several sizes."""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Final

from daemon.routing.latency import Silence
from daemon.routing.leases import RouteQuery
from daemon.routing.policy import Routes, TargetPlace, Workload
from daemon.routing.selection import Load, choose
from probes.policy import Dialect
from probes.surfaces import Surface
from state.latency.estimator import Estimator
from state.latency.forecast import forecast_of
from state.latency.lengths import Lengths
from state.latency.level import Level
from state.latency.reliability import Reliability
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName

__all__ = ["main"]

_BOUNDS_US: Final = {5: 15.0, 50: 120.0}
"""Microseconds that a decision may cost, by the number of targets."""
_ROUNDS: Final = 15
_NOW: Final = 1000.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the median microseconds of a decision for each size; return 1 where one is over its bound."""
    sizes = [int(word) for word in (sys.argv[1:] if arguments is None else arguments)] or list(_BOUNDS_US)
    failed = False
    for size in sizes:
        median_us = _measure(size)
        bound_us = _BOUNDS_US.get(size)
        over = bound_us is not None and median_us > bound_us
        failed = failed or over
        told = "" if bound_us is None else f", at most {bound_us:g}: {'too slow' if over else 'holds'}"
        print(f"{size} targets: {median_us:.1f} µs a decision{told}")
    return int(failed)


def _measure(size: int) -> float:
    query, routes, snapshot, load = _scene(size)
    times = []
    count = max(200, 20_000 // size)
    for _ in range(_ROUNDS):
        begun = time.process_time()
        for number in range(count):
            choose(query, routes, snapshot, load, _NOW + number * 1e-3)
        times.append((time.process_time() - begun) / count * 1e6)
    return statistics.median(times)


def _scene(size: int) -> tuple[RouteQuery, Routes, HealthSnapshot, Load]:
    """Return a workload of healthy targets, half of them with requests under way, one of them silent."""
    targets = tuple(TargetName(f"provider{number}/model") for number in range(size))
    workload = Workload(name="w", targets=targets)
    places = {
        target: TargetPlace(provider=target.partition("/")[0], dialect=Dialect.OPENAI, max_in_flight=64)
        for target in targets
    }
    healths = {target: _health(target, number) for number, target in enumerate(targets)}
    under_way = {target: number % 3 for number, target in enumerate(targets)}
    providers = {target.partition("/")[0]: count for target, count in under_way.items()}
    silences = {targets[1 % size]: (Silence(_NOW - 0.2),)}
    load = Load(under_way, providers, silences=silences, sent_at=dict.fromkeys(targets, _NOW - 1.0))
    query = RouteQuery(request_id="r", workload=workload, surface=Surface.CHAT, streamed=True, max_tokens=500)
    snapshot = HealthSnapshot(targets=healths, lengths={"w": Lengths()})
    return query, Routes(workloads={"w": workload}, places=places), snapshot, load


def _health(target: TargetName, number: int) -> TargetHealth:
    first = Level(math.log(0.3 + 0.05 * number), variance=0.01, at=_NOW - 5.0, count=50)
    pace = Level(math.log(0.01 + 0.001 * number), variance=0.01, noise=0.04, at=_NOW - 5.0, count=50)
    return TargetHealth(
        target=target,
        standing=Standing.HEALTHY,
        estimator=Estimator(first, pace),
        forecast=forecast_of(Estimator(first, pace)),
        clear=True,
        reliability=Reliability(1.0, 50.0, at=_NOW - 5.0),
    )


if __name__ == "__main__":
    sys.exit(main())
