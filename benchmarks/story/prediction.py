"""What the simulator makes of the story: its prediction, and how firm that is."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Final

from benchmarks.routing.draws import Draw, key, uniform
from benchmarks.routing.engine import Engine, Timer
from benchmarks.routing.policies import POLICIES
from benchmarks.routing.scoring import scores
from benchmarks.routing.tally import Tally
from benchmarks.routing.trace import Trace

__all__ = ["PATIENCE_S", "simulated", "spread"]

PATIENCE_S: Final = 120.0
"""How long after the trace's end a request may still be open, as in engine.py."""
_LATE_S: Final = 0.004
"""What the daemon and its sockets add to an answer on a busy machine, about twice the median that was measured."""
_VARIANTS: Final = 10
_TREMBLING: Final = -5
"""Root of the keys of delays: beside those of engine.py and baselines.py."""


def simulated(trace: Trace, seed: int, policy: str) -> Tally:
    """Return what the simulator makes of the trace under a policy."""
    return Engine(trace, seed, POLICIES[policy](seed)).run()


class _Trembling(Engine):
    """An engine in which everything happens up to 4 ms late, as on a real machine: by other luck in each variant."""

    def __init__(self, trace: Trace, seed: int, variant: int) -> None:
        super().__init__(trace, seed, POLICIES["fairlead"](seed))
        self._variant = variant
        self._delays = 0

    def at(self, time: float, callback: Callable[[], None]) -> Timer:
        self._delays += 1
        luck = key(self.seed, _TREMBLING, self._variant, self._delays)
        return super().at(time + _LATE_S * uniform(luck, Draw.ANSWER), callback)


def spread(trace: Trace, seed: int, best_s: float) -> tuple[float, float]:
    """Return between which regrets the prediction moves: a millisecond decides which canary sees a fault's end."""
    regrets = []
    for variant in range(_VARIANTS):
        engine = _Trembling(trace, seed, variant)
        regrets.append(statistics.fmean(scores(engine.requests, engine.run(), trace.duration + PATIENCE_S)) / best_s)
    return min(regrets), max(regrets)
