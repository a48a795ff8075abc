"""What a run was worth: each request's score against the oracle's, and how soon a fault was left and forgiven."""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Sequence
from typing import Final

import msgspec

from benchmarks.routing.arrivals import Request
from benchmarks.routing.engine import Engine
from benchmarks.routing.oracle import Oracle
from benchmarks.routing.policies import POLICIES
from benchmarks.routing.tally import Choice, Tally
from benchmarks.routing.trace import Event, Trace

__all__ = ["Lane", "Row", "Run", "compare"]

_MOST_S: Final = 120.0
_LOST_S: Final = 60.0
"""A served request costs its latency up to the first; a lost one the time spent, and at least the second."""
_WINDOW: Final = 10
_AVOIDED: Final = 8
_RETURNED: Final = 5
"""A fault is detected when 8 of 10 first choices avoid the provider, and left behind when 5 of 10 return to it.

Timed to the first of these choices: at 2 requests a second eight choices take 4 s, whoever makes them.
"""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One policy in one trace with one seed; shares and ratios are plain numbers, 1 is the oracle."""

    trace: str
    policy: str
    seed: int
    success: float
    regret: float
    p50_ratio: float
    p95_ratio: float
    p99_ratio: float
    attempts: float
    hedges: float
    probe_usd: float
    detect_s: float | None
    recover_s: float | None
    detect_all_s: float | None
    """As `detect_s`, but to the last of those choices."""
    recover_all_s: float | None
    """As `recover_s`, but to the last of those choices."""


class Lane(msgspec.Struct, frozen=True):
    """What is drawn of a run: first choices, and when requests were lost, in seconds."""

    policy: str
    choices: tuple[Choice, ...]
    lost_at: tuple[float, ...]


class Run(msgspec.Struct, frozen=True):
    """All policies in one trace with one seed."""

    trace: Trace
    seed: int
    rows: tuple[Row, ...]
    lanes: tuple[Lane, ...]


class _Reached(msgspec.Struct, frozen=True):
    """When a window of first choices turned, in seconds after the event: its last choice, and its first."""

    last_s: float
    first_s: float


def compare(trace: Trace, seed: int, policies: Sequence[str]) -> Run:
    """Run the policies on the same luck, and the oracle beside them."""
    oracle = Engine(trace, seed, Oracle(seed))
    best = oracle.run()
    rows, lanes = [], []
    for name in policies:
        engine = oracle if name == Oracle.name else Engine(trace, seed, POLICIES[name](seed))
        tally = best if name == Oracle.name else engine.run()
        rows.append(_row(engine, name, tally, best))
        lost = [one.at for one in engine.requests if one.index not in tally.settled or not _served(tally, one)]
        lanes.append(Lane(name, tuple(tally.first_choices), tuple(lost)))
    return Run(trace, seed, tuple(rows), tuple(lanes))


def scores(requests: Sequence[Request], tally: Tally, end: float) -> list[float]:
    """Return each request's score in seconds; one that is open at `end` has failed."""
    found = []
    for request in requests:
        settled = tally.settled.get(request.index)
        spent_s = settled.latency_s if settled else end - request.at
        found.append(min(spent_s, _MOST_S) if settled and settled.served else max(spent_s, _LOST_S))
    return found


def _served(tally: Tally, request: Request) -> bool:
    return tally.settled[request.index].served


def _row(engine: Engine, name: str, tally: Tally, best: Tally) -> Row:
    requests, trace = engine.requests, engine.trace
    ours, ideal = (sorted(scores(requests, one, trace.duration + _MOST_S)) for one in (tally, best))
    count = max(1, len(requests))
    detected = [_detected(tally.first_choices, event) for event in trace.events]
    recovered = [
        _recovered(tally.first_choices, trace, event)
        for event in trace.events
        if event.recover and event.t1 < trace.duration and _favourite(best.first_choices, event)
    ]
    return Row(
        trace=trace.name,
        policy=name,
        seed=engine.seed,
        success=sum(one.served for one in tally.settled.values()) / count,
        regret=_ratio(sum(ours), sum(ideal)),
        p50_ratio=_ratio(_percentile(ours, 50), _percentile(ideal, 50)),
        p95_ratio=_ratio(_percentile(ours, 95), _percentile(ideal, 95)),
        p99_ratio=_ratio(_percentile(ours, 99), _percentile(ideal, 99)),
        attempts=(tally.sends - tally.hedges) / count,
        hedges=len(tally.hedged) / count,
        probe_usd=tally.probe_usd,
        detect_s=_mean([one.first_s for one in detected]),
        recover_s=_mean([one.first_s for one in recovered]),
        detect_all_s=_mean([one.last_s for one in detected]),
        recover_all_s=_mean([one.last_s for one in recovered]),
    )


def _detected(choices: Sequence[Choice], event: Event) -> _Reached:
    """Return when the policy avoided the provider; the fault's length where it never did."""
    avoids = [choice.provider != event.p for choice in choices]
    length_s = event.t1 - event.t0
    return _turn(choices, avoids, (event.t0, event.t1), _AVOIDED) or _Reached(length_s, length_s)


def _recovered(choices: Sequence[Choice], trace: Trace, event: Event) -> _Reached:
    """Return when the policy came back; the fault's length where it did not before the next fault, or the end."""
    returns = [choice.provider == event.p for choice in choices]
    again = [other.t0 for other in trace.events if other.p == event.p and other.t0 >= event.t1]
    length_s = event.t1 - event.t0
    until = min(again, default=trace.duration)
    return _turn(choices, returns, (event.t1, until), _RETURNED) or _Reached(length_s, length_s)


def _turn(
    choices: Sequence[Choice], wanted: Sequence[bool], between: tuple[float, float], enough: int
) -> _Reached | None:
    """Return when `enough` of the last ten choices were the wanted ones, within the two times."""
    since, until = between
    first = bisect.bisect_left(choices, since, key=lambda choice: choice.at)
    for end in range(max(first, _WINDOW), len(choices) + 1):
        last_at = max(choices[end - 1].at, since)
        if last_at > until:
            return None
        if sum(wanted[end - _WINDOW : end]) >= enough:
            fresh = [choices[place].at for place in range(max(end - _WINDOW, first), end) if wanted[place]]
            held = sum(wanted[end - _WINDOW : min(first, end)]) >= enough
            return _Reached(last_at - since, 0.0 if held or not fresh else fresh[0] - since)
    return None


def _favourite(best: Sequence[Choice], event: Event) -> bool:
    """Return whether the oracle preferred the provider before the fault: what is measured is the same for all."""
    before = bisect.bisect_left(best, event.t0, key=lambda choice: choice.at)
    return sum(choice.provider == event.p for choice in best[max(0, before - _WINDOW) : before]) >= _RETURNED


def _percentile(ordered: Sequence[float], percent: int) -> float:
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else 0.0


def _ratio(ours: float, ideal: float) -> float:
    return ours / ideal if ideal else 1.0


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None
