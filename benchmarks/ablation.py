"""What each part of the policy is worth: `python -m benchmarks.ablation` takes one out at a time and simulates again.

A part that makes nothing worse when it is missing does not pay for its lines.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

import benchmarks.routing.evidence
import benchmarks.routing.fairlead
import benchmarks.routing.journey
import benchmarks.routing.knowledge
import daemon.routing.latency
import probes.canaries
import state.health
import state.latency.estimator
import state.latency.level
import state.latency.reliability
from benchmarks.routing.scoring import Row, compare
from benchmarks.routing.trace import Scale, Trace, load
from benchmarks.routing.wild import wild_trace
from state.durations import Seconds
from state.latency.lengths import Lengths
from state.policy import EstimatorKind, HealthPolicy

__all__ = ["PARTS", "main", "without"]

_TRACES: Final = Path(__file__).resolve().parents[1].parent / "shared" / "traces"
_NEVER: Final = 10**9
_Swap = tuple[Any, str, Any]
"""An owner, the name of what it has, and what stands in for it."""


def _judging(**changes: Any) -> _Swap:
    policy = HealthPolicy(**{"vouch": Seconds(15), **changes})
    return benchmarks.routing.knowledge, "_POLICY", policy


PARTS: Final[Mapping[str, tuple[_Swap, ...]]] = {
    "nothing": (),
    "canaries": ((probes.canaries.Canaries, "due", lambda *_: None),),
    "breaker": (_judging(fall=_NEVER, failure_ratio=2.0),),
    "first token and pace apart (the plain mean instead)": (_judging(estimator=EstimatorKind.MEAN),),
    "staleness as uncertainty": ((state.latency.level, "_GROWTH", 1e-9),),
    "change points": ((state.latency.level, "_RUN_OF_CHANGE", _NEVER),),
    "silence as evidence": ((daemon.routing.latency, "_with_silences", lambda _, first_s, __: first_s),),
    "suspicion after a fault": ((state.latency.reliability, "_RUN_MEMORY_S", 1e-9),),
    "queue model": ((state.latency.estimator, "after_load", lambda knee, *_: (knee, False)),),
    "cold starts": ((state.latency.estimator, "after_pause", lambda cold, *_: (cold, False)),),
    "length hints": ((Lengths, "expected", lambda *_: 200.0),),
    "rate-limit headroom": ((benchmarks.routing.evidence, "Headroom", lambda *_: None),),
    "hedges": ((benchmarks.routing.journey, "hedge_time", lambda *_: None),),
    "adaptive patience": ((benchmarks.routing.journey, "patience_s", lambda _, at_most: at_most),),
    "cut streams": ((state.latency.reliability.Reliability, "cut_share", lambda *_: 0.0),),
    "slow start": ((state.health, "SLOW_START", 0),),
    "waiting while nobody is usable": ((benchmarks.routing.fairlead, "MAX_WAIT", Seconds(0)),),
}
"""By what is taken out, how that is done."""


class _Worth(msgspec.Struct, frozen=True):
    regret: float
    worst: float
    p99: float
    success: float
    attempts: float


@contextmanager
def without(part: str) -> Iterator[None]:
    """Take a part of the policy out while the context lasts."""
    with ExitStack() as stack:
        for owner, name, stand_in in PARTS[part]:
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, stand_in)
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each part: what the policy is worth without it."""
    asked = _parser().parse_args(arguments)
    traces = [load(file, Scale()) for file in asked.traces or sorted(_TRACES.glob("*.json"))]
    traces += [wild_trace(number, Scale()) for number in range(1, asked.wild + 1)]
    if not traces:
        print(f"benchmarks.ablation: there are no traces in {_TRACES}: name some", file=sys.stderr)
        return 2
    with ProcessPoolExecutor(2) as workers:
        asking = {part: workers.submit(_measured, part, traces, asked.seeds) for part in PARTS}
        print(f"{'without':52} {'regret':>8} {'worst':>7} {'p99':>7} {'success':>9} {'attempts':>9}")
        for part, answer in asking.items():
            worth = answer.result()
            print(
                f"{part:52} {worth.regret:8.4f} {worth.worst:7.3f} {worth.p99:7.3f} "
                f"{worth.success * 100:8.3f}% {worth.attempts:9.3f}",
                flush=True,
            )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("traces", nargs="*", type=Path, metavar="TRACE.json")
    parser.add_argument("--seeds", type=int, default=2, metavar="N")
    parser.add_argument("--wild", type=int, default=30, metavar="N", help="random traces besides (30)")
    return parser


def _measured(part: str, traces: Sequence[Trace], seeds: int) -> _Worth:
    with without(part):
        rows = [row for trace in traces for seed in range(1, seeds + 1) for row in _rows(trace, seed)]

    def mean(of: Callable[[Row], float]) -> float:
        return statistics.fmean(map(of, rows))

    return _Worth(
        regret=math.exp(mean(lambda row: math.log(row.regret))),
        worst=max(row.regret for row in rows),
        p99=mean(lambda row: row.p99_ratio),
        success=mean(lambda row: row.success),
        attempts=mean(lambda row: row.attempts),
    )


def _rows(trace: Trace, seed: int) -> tuple[Row, ...]:
    return compare(trace, seed, ["fairlead"]).rows


if __name__ == "__main__":
    sys.exit(main())
