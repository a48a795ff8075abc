"""What was measured, beside what the simulator predicts for the same trace and the same luck."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from benchmarks.routing.arrivals import Request, requests
from benchmarks.routing.scoring import scores
from benchmarks.routing.tally import Choice, Settled, Tally
from benchmarks.routing.trace import Trace
from benchmarks.story.audience import Heard
from benchmarks.story.cast import Asked
from benchmarks.story.prediction import PATIENCE_S, spread
from benchmarks.story.script import Phase, phases

__all__ = ["MOST_POINTS", "Delay", "Figures", "Findings", "Lot", "Passage", "Played", "Run", "findings"]

MOST_POINTS: Final = 5.0


class Played(msgspec.Struct, frozen=True):
    """What the clients heard, and what each provider was asked."""

    heard: Sequence[Heard]
    asked: Mapping[str, Sequence[Asked]]
    daemon_cpu_s: float


class Run(msgspec.Struct, frozen=True):
    """One story, as played and as the simulator predicts it."""

    trace: Trace
    seed: int
    predicted: Tally
    played: Played


class Figures(msgspec.Struct, frozen=True):
    """What a run was worth; shares are plain numbers."""

    regret: float
    mean_s: float
    success: float
    attempts: float
    """Sends per request, hedges not counted."""
    hedges: float
    canaries: int


class Lot(msgspec.Struct, frozen=True):
    """How one run went through one phase."""

    mean_s: float
    """The mean score of the requests that arrived in it."""
    chosen: Mapping[str, int]
    """How many first choices fell on each provider."""


class Passage(msgspec.Struct, frozen=True):
    """One phase in all three runs."""

    phase: Phase
    requests: int
    measured: Lot
    predicted: Lot
    oracle: Lot


class Delay(msgspec.Struct, frozen=True):
    """A delay in milliseconds."""

    p50_ms: float
    p99_ms: float


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    seconds: float
    seed: int
    requests: int
    measured: Figures
    predicted: Figures
    oracle_s: float
    points: float
    """100 x (measured - predicted regret)."""
    spread: tuple[float, float]
    """The least and the highest regret that the simulator predicts where requests come a little late."""
    holds: bool
    passages: tuple[Passage, ...]
    generator: Delay
    """How much later than due requests were sent."""
    providers: Delay
    """How much longer than their fate the providers' answers took."""
    overhead: Delay
    """What is left of a latency: the daemon, two sockets, and waiting for a processor; single attempts only."""
    daemon_cpu_s: float
    problems: tuple[str, ...]
    """What the clients that were not served were told."""


def findings(run: Run, oracle: Tally) -> Findings:
    """Return the comparison; `oracle` is the simulator's, what both regrets are divided by."""
    asked = requests(run.trace, run.seed)
    tallies = (_tally(run, asked), run.predicted, oracle)
    worth = [scores(asked, tally, run.trace.duration + PATIENCE_S) for tally in tallies]
    best_s = statistics.fmean(worth[2])
    measured, predicted = (_figures(tally, one, best_s) for tally, one in zip(tallies[:2], worth[:2], strict=True))
    points = 100 * (measured.regret - predicted.regret)
    return Findings(
        seconds=run.trace.duration,
        seed=run.seed,
        requests=len(asked),
        measured=measured,
        predicted=predicted,
        oracle_s=best_s,
        points=points,
        spread=spread(run.trace, run.seed, best_s),
        holds=abs(points) <= MOST_POINTS,
        passages=tuple(_passages(run.trace, asked, tallies, worth)),
        generator=_delay([one.late_s for one in run.played.heard]),
        providers=_delay([one.late_s for each in run.played.asked.values() for one in each if one.late_s is not None]),
        overhead=_delay(_overheads(run.played)),
        daemon_cpu_s=run.played.daemon_cpu_s,
        problems=tuple(f"{one.index}: {one.error}" for one in run.played.heard if not one.served),
    )


def _tally(run: Run, asked: Sequence[Request]) -> Tally:
    """Return what was played as the simulator would have counted it."""
    tally = Tally(len(asked))
    for heard in run.played.heard:
        tally.settled[heard.index] = Settled(heard.latency_s, heard.served)
        if heard.hedged:
            tally.hedged.add(heard.index)
            tally.hedges += 1
    firsts: dict[int, Choice] = {}
    for place, provider in enumerate(run.trace.providers):
        for one in run.played.asked[provider.name]:
            if one.index is None:
                tally.probes += 1
                continue
            tally.sends += 1
            if one.index not in firsts or one.at < firsts[one.index].at:
                firsts[one.index] = Choice(one.at, place)
    tally.first_choices.extend(sorted(firsts.values(), key=lambda choice: choice.at))
    return tally


def _figures(tally: Tally, worth: Sequence[float], best_s: float) -> Figures:
    count, mean_s = len(worth), statistics.fmean(worth)
    return Figures(
        regret=mean_s / best_s,
        mean_s=mean_s,
        success=sum(one.served for one in tally.settled.values()) / count,
        attempts=(tally.sends - tally.hedges) / count,
        hedges=len(tally.hedged) / count,
        canaries=tally.probes,
    )


def _passages(
    trace: Trace, asked: Sequence[Request], tallies: Sequence[Tally], worth: Sequence[Sequence[float]]
) -> list[Passage]:
    found = []
    for phase in phases(trace.duration):
        here = [place for place, request in enumerate(asked) if phase.start <= request.at < phase.end]
        means = [statistics.fmean(one[place] for place in here) if here else 0.0 for one in worth]
        chosen = [_choices(trace, tally, phase) for tally in tallies]
        found.append(Passage(phase, len(here), *(Lot(*each) for each in zip(means, chosen, strict=True))))
    return found


def _choices(trace: Trace, tally: Tally, phase: Phase) -> dict[str, int]:
    counts = Counter(choice.provider for choice in tally.first_choices if phase.start <= choice.at < phase.end)
    return {provider.name: counts[place] for place, provider in enumerate(trace.providers)}


def _overheads(played: Played) -> list[float]:
    took = {
        one.index: one.ends_s + one.late_s
        for each in played.asked.values()
        for one in each
        if one.late_s is not None and one.index is not None and one.kind == "ok"
    }
    alone = [one for one in played.heard if one.served and one.attempts == 1 and one.index in took]
    return [one.latency_s - one.late_s - took[one.index] for one in alone]


def _delay(delays_s: Sequence[float]) -> Delay:
    ordered = sorted(delays_s) or [math.nan]
    return Delay(*(1e3 * ordered[math.ceil(len(ordered) * share) - 1] for share in (0.5, 0.99)))
