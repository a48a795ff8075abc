"""The windows of a target: its recent latencies, and how its recent requests ended.

A window is a value: two parallel tuples of at most 100 entries. Adding copies 100 pointers twice, which costs less
than a microsecond; sorting for the median happens only when a picture is published.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Final, Generic, TypeVar

import msgspec

from state.outcome import Outcome

__all__ = ["LATENCY_SPANS", "WINDOW_LIMIT", "Estimate", "Window", "estimate", "latency_of", "share_succeeded"]

V = TypeVar("V")

WINDOW_LIMIT: Final = 100
"""Most entries of a window: what the seed's average is taken over."""
LATENCY_SPANS: Final = 10
"""A latency stays for this many times the policy's `window`: what ten windows ago was fast says nothing of now."""


class Window(msgspec.Struct, Generic[V], frozen=True):
    """The newest values and when each came, oldest first; seconds on the monotonic clock."""

    span: float = 0.0
    """Seconds that an entry stays."""
    times: tuple[float, ...] = ()
    values: tuple[V, ...] = ()

    def add(self, value: V, at: float, span: float) -> Window[V]:
        """Return the window with `value`, without what is older than `span` seconds or beyond the limit."""
        times = self.times
        if times and at < times[-1]:
            at = times[-1]
        first = bisect_right(times, at - span)
        if len(times) - first >= WINDOW_LIMIT:
            first = len(times) + 1 - WINDOW_LIMIT
        return Window(span, (*times[first:], at), (*self.values[first:], value))

    def fresh(self, now: float) -> tuple[V, ...]:
        """Return the values that are younger than the window's span at `now`, oldest first."""
        return self.values[bisect_right(self.times, now - self.span) :]

    @property
    def empty_at(self) -> float:
        """When the newest value will have expired; infinity for an empty window."""
        return self.times[-1] + self.span if self.times else math.inf


class Estimate(msgspec.Struct, frozen=True):
    """How long a target's requests take, in seconds; None where nothing is known."""

    expected_s: float | None = None
    p50_s: float | None = None
    p95_s: float | None = None
    samples: int = 0


def latency_of(outcome: Outcome) -> float | None:
    """Return the seconds that a success is judged by: to the first byte of a stream, else to the end.

    None where nothing was measured: an unknown latency must not look like the fastest of all.
    """
    seconds = outcome.first_byte_s if outcome.streamed and outcome.first_byte_s is not None else outcome.latency_s
    return seconds if 0.0 < seconds < math.inf else None


def estimate(window: Window[float], probe_s: float | None, now: float) -> Estimate:
    """Return the estimate from the latencies that are fresh at `now`.

    Without any, the latest probe's latency stands in: weak, but it lets an unproven or long idle target be compared.
    """
    ordered = sorted(window.fresh(now))
    count = len(ordered)
    if not count:
        return Estimate(expected_s=probe_s)
    median = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return Estimate(median, median, ordered[math.ceil(0.95 * count) - 1], count)


def share_succeeded(window: Window[bool], now: float) -> float | None:
    """Return the share of successes among the outcomes that are fresh at `now`, None where there is none."""
    fresh = window.fresh(now)
    return fresh.count(True) / len(fresh) if fresh else None
