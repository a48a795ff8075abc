"""What the simulator makes of the story: its prediction, and how firm that is."""

from __future__ import annotations

import statistics
from typing import Final

from msgspec.structs import replace

from benchmarks.routing.draws import Draw, key, uniform
from benchmarks.routing.engine import Engine, Request
from benchmarks.routing.policies import POLICIES
from benchmarks.routing.scoring import scores
from benchmarks.routing.tally import Tally
from benchmarks.routing.trace import Trace

__all__ = ["LATE_S", "PATIENCE_S", "simulated", "spread"]

PATIENCE_S: Final = 120.0
"""How long after the trace's end a request may still be open, as in engine.py."""
LATE_S: Final = 0.02
"""How late requests were sent at worst, at p99, by the load generator on a busy machine."""
_VARIANTS: Final = 16
_LATE: Final = -5
"""Root of the keys of delays: beside those of engine.py and baselines.py."""


def simulated(trace: Trace, seed: int, policy: str) -> Tally:
    """Return what the simulator makes of the trace under a policy."""
    return Engine(trace, seed, POLICIES[policy](seed)).run()


def spread(trace: Trace, seed: int, best_s: float) -> tuple[float, float]:
    """Return between which regrets the prediction moves where each request comes up to 20 ms late.

    Which of two requests comes first, and which canary still sees a fault's end, decides what is believed for seconds.
    """
    regrets = []
    for variant in range(_VARIANTS):
        engine = Engine(trace, seed, POLICIES["fairlead"](seed))
        engine.requests = tuple(_late(request, key(seed, _LATE, variant, request.index)) for request in engine.requests)
        regrets.append(statistics.fmean(scores(engine.requests, engine.run(), trace.duration + PATIENCE_S)) / best_s)
    return min(regrets), max(regrets)


def _late(request: Request, luck: int) -> Request:
    return replace(request, at=request.at + LATE_S * uniform(luck, Draw.GAP))
