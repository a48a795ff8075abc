"""What the daemon's own decisions are worth in the simulator: short traces with fixed seeds, so the same every time."""

from __future__ import annotations

import math
import statistics

import pytest

from benchmarks.routing.engine import Engine
from benchmarks.routing.fairlead import Fairlead
from benchmarks.routing.scoring import Row, compare, scores
from benchmarks.routing.trace import Trace
from daemon.routing.hedging import HedgeBudget
from tests.benchmarks.simulated import trace

A, B, C = ({"t": 0, "ttft": ttft, "tps": tps} for ttft, tps in ((0.35, 90), (0.45, 75), (1.2, 40)))
STEADY = [{"name": "b", "segments": [B]}, {"name": "c", "segments": [C]}]


def _faulty(*later: dict[str, object], **more: object) -> Trace:
    """Return five minutes in which the best of three providers does what `later` says."""
    best = {"name": "a", "segments": [A, *later], **more}
    return trace(best, *STEADY, duration=300, arrivals={"rps": 2}, events=[{"p": 0, "t0": 100, "t1": 200}])


OUTAGE = _faulty({"t": 100, "mode": "5xx"}, {"t": 200, "mode": "ok"})
BROWNOUT = _faulty({"t": 100, "ttft": 3.5}, {"t": 200, "ttft": 0.35})
LASTING = _faulty({"t": 100, "ttft": 3.5, "tps": 18})
SLOWED = _faulty({"t": 100, "ttft": 3.5, "tps": 18}, {"t": 200, "ttft": 0.35, "tps": 90})
RATE_LIMIT = _faulty(rpm=60, headers=True)


def _row(of: Trace) -> Row:
    return compare(of, 1, ["fairlead"]).rows[0]


@pytest.mark.parametrize(
    ("of", "regret"),
    [(OUTAGE, 1.05), (BROWNOUT, 1.05), (LASTING, 1.05), (RATE_LIMIT, 1.05), (SLOWED, 1.1)],
    ids=["outage", "brownout", "brownout that lasts", "rate limit", "brownout of the pace, too"],
)
def test_regret_is_small_beside_who_knows_everything(of: Trace, regret: float) -> None:
    """And every request is served; a pace that is well again is noticed late, since canaries are short."""
    row = _row(of)
    assert row.regret <= regret
    assert row.success == 1.0


def test_one_run_is_like_the_other() -> None:
    """No clock, no chance but the seed's: the same trace gives the same figures."""
    assert _row(OUTAGE) == _row(OUTAGE)


def _scores(of: Trace, seed: int, budget: HedgeBudget) -> tuple[list[float], int]:
    """Return each request's score, and how many were hedged."""
    policy = Fairlead(seed)
    policy.budget = budget
    engine = Engine(of, seed, policy)
    tally = engine.run()
    return scores(engine.requests, tally, of.duration + 120.0), len(tally.hedged)


def test_between_two_alike_hedging_gains_nothing_for_the_usual_request() -> None:
    """The null test: a measure by which the second of two identical targets is worth a gain measures something else."""
    twins = trace(*({"name": name, "segments": [A]} for name in "ab"), duration=300, arrivals={"rps": 2})
    hedged, plain = list[float](), list[float]()
    for seed in (1, 2, 3):
        with_hedges, many = _scores(twins, seed, HedgeBudget())
        without, none = _scores(twins, seed, HedgeBudget(-math.inf))
        assert many > none == 0
        hedged += with_hedges
        plain += without
    assert statistics.median(hedged) == pytest.approx(statistics.median(plain), rel=0.01)
