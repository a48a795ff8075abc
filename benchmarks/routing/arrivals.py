"""The requests of a trace: drawn from the seed before anything runs, so that every policy gets the same ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count, pairwise

import msgspec

from benchmarks.routing.draws import Draw, key, lognormal, uniform
from benchmarks.routing.trace import Arrivals, Burst, Lengths, Trace

__all__ = ["Request", "requests"]

_STREAM_OF_REQUESTS, _TIMES = -1, -2
"""Roots of keys; a provider's place, the root of attempts, is never negative."""
_MARGINS = (1.2, 4.0)
"""A client that states `max_tokens` asks for more than it needs, by a factor between these."""


class Request(msgspec.Struct, frozen=True):
    """What a client wants; `at` in seconds, lengths in tokens."""

    index: int
    at: float
    prompt_tokens: int
    output_tokens: int
    """The truth: only the oracle may look at it."""
    max_tokens: int | None
    streamed: bool


def requests(trace: Trace, seed: int) -> tuple[Request, ...]:
    """Return all requests of the trace in order of time."""
    times = [*_steady(trace.arrivals, trace.duration, seed)]
    if trace.arrivals.burst:
        times += _bursts(trace.arrivals.burst, trace.duration, seed)
    return tuple(_request(trace.arrivals, seed, index, time) for index, time in enumerate(sorted(times)))


def _steady(arrivals: Arrivals, duration: float, seed: int) -> Iterator[float]:
    """Yield the times of a Poisson process: unit gaps, stretched by the rate that holds where they fall."""
    starts = [time for time, _ in arrivals.steps() if time < duration]
    rates = [rate for _, rate in arrivals.steps()]
    due, passed, number = 0.0, 0.0, count()
    due = _gap(seed, next(number))
    for (start, end), rate in zip(pairwise([*starts, duration]), rates, strict=False):
        while rate and due < passed + (end - start) * rate:
            yield start + (due - passed) / rate
            due += _gap(seed, next(number))
        passed += (end - start) * rate


def _gap(seed: int, number: int) -> float:
    return -math.log(uniform(key(seed, _TIMES, number), Draw.GAP))


def _bursts(burst: Burst, duration: float, seed: int) -> Iterator[float]:
    for wave in range(1, math.ceil(duration / burst.every)):
        for number in range(burst.n):
            yield wave * burst.every + burst.spread * uniform(key(seed, _TIMES, wave, number), Draw.BURST)


def _request(arrivals: Arrivals, seed: int, index: int, at: float) -> Request:
    luck = key(seed, _STREAM_OF_REQUESTS, index)
    output = _length(arrivals.out, luck, (Draw.OUTPUT, Draw.OUTPUT_PART))
    low, high = _MARGINS
    stated = output * low * (high / low) ** uniform(luck, Draw.MARGIN)
    return Request(
        index=index,
        at=at,
        prompt_tokens=_length(arrivals.prompt, luck, (Draw.PROMPT, Draw.PROMPT_PART)),
        output_tokens=output,
        max_tokens=math.ceil(stated) if uniform(luck, Draw.STATED) < arrivals.p_max_tokens else None,
        streamed=uniform(luck, Draw.STREAMED) < arrivals.stream,
    )


def _length(lengths: Lengths, luck: int, draws: tuple[Draw, Draw]) -> int:
    size, which = draws
    parts = lengths.parts()
    place = uniform(luck, which) * sum(part.w for part in parts)
    for part in parts:
        place -= part.w
        if place < 0:
            break
    return max(1, round(part.median * lognormal(luck, size, part.sigma)))
