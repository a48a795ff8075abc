"""Policies that others use, to compare with."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from benchmarks.routing.draws import Draw, key, uniform
from benchmarks.routing.engine import Attempt, Engine, Reply, Request
from benchmarks.routing.sequential import FIRST_BYTE_S, SequentialPolicy

__all__ = ["Average", "Ordered", "PeakEwma", "Random", "RoundRobin"]

_CHOICES: Final = -4
"""Root of the keys of a policy's own luck: beside those of arrivals.py and engine.py."""


class Random(SequentialPolicy):
    """Any provider that the request has not failed at."""

    name = "random"

    def __init__(self, seed: int) -> None:
        """Draw choices from `seed`."""
        self._seed = seed

    def choose(self, request: Request, tried: tuple[int, ...]) -> int | None:
        """Return one of them, all equally likely."""
        places = self.untried(tried)
        return places[int(uniform(key(self._seed, _CHOICES, request.index, len(tried)), Draw.CHOICE) * len(places))]


class RoundRobin(SequentialPolicy):
    """Each provider in its turn."""

    name = "round-robin"

    def __init__(self, _seed: int) -> None:
        """Begin with the first."""
        self._turn = -1

    def choose(self, _request: Request, tried: tuple[int, ...]) -> int | None:
        """Return whose turn it is."""
        places = self.untried(tried)
        self._turn += 1
        count = len(self.engine.providers)
        return min(places, key=lambda place: (place - self._turn) % count)


class Ordered(SequentialPolicy):
    """Failover in the configured order, without a memory."""

    name = "ordered"

    def __init__(self, _seed: int) -> None:
        """Need no luck."""

    def choose(self, _request: Request, tried: tuple[int, ...]) -> int | None:
        """Return the first in the order."""
        return self.untried(tried)[0]


class Average(SequentialPolicy):
    """The lowest average of the last 100 latencies; three failures take a provider out for 60 s.

    A success forgives one failure. A provider without a latency is tried first. Where nobody is left, whoever comes
    back first is used.
    """

    name = "average-100"
    window: Final = 100
    failures: Final = 3
    cooldown_s: Final = 60.0

    def __init__(self, _seed: int) -> None:
        """Need no luck."""

    def begin(self, engine: Engine) -> None:
        """Start without a latency of anybody."""
        super().begin(engine)
        count = len(engine.providers)
        self._latencies: list[deque[float]] = [deque(maxlen=self.window) for _ in range(count)]
        self._errors = [0] * count
        self._out_until = [0.0] * count

    def choose(self, _request: Request, tried: tuple[int, ...]) -> int | None:
        """Return the fastest on average of those that are in."""
        places = self.untried(tried)
        inside = [place for place in places if self._out_until[place] <= self.engine.now]
        if inside:
            return min(inside, key=self._mean)
        return min(places, key=lambda place: self._out_until[place])

    def heard(self, attempt: Attempt, reply: Reply | None) -> None:
        """Average a success; count a failure."""
        place = attempt.provider
        if reply and reply.kind == "ok":
            self._latencies[place].append(reply.latency_s)
            self._errors[place] = max(0, self._errors[place] - 1)
            return
        self._errors[place] += 1
        if self._errors[place] >= self.failures:
            self._out_until[place] = self.engine.now + self.cooldown_s

    def _mean(self, place: int) -> float:
        latencies = self._latencies[place]
        return sum(latencies) / len(latencies) if latencies else 0.0


class PeakEwma(SequentialPolicy):
    """Of two drawn providers the one with less latency x (in flight + 1); a peak counts at once and decays in 10 s.

    As in Finagle and Linkerd, which measure the whole answer. A failure counts as an answer at the time limit: else
    whoever fails fast would draw all the load.
    """

    name = "p2c-peak-ewma"
    decay_s: Final = 10.0

    def __init__(self, seed: int) -> None:
        """Draw pairs from `seed`."""
        self._seed = seed

    def begin(self, engine: Engine) -> None:
        """Start with nothing in flight."""
        super().begin(engine)
        self._peak = [0.0] * len(engine.providers)
        self._seen_at = [0.0] * len(engine.providers)
        self._in_flight = [0] * len(engine.providers)

    def choose(self, request: Request, tried: tuple[int, ...]) -> int | None:
        """Return the cheaper of two."""
        places = self.untried(tried)
        luck = key(self._seed, _CHOICES, request.index, len(tried))
        one = places.pop(int(uniform(luck, Draw.CHOICE) * len(places)))
        if not places:
            return one
        other = places[int(uniform(luck, Draw.SECOND_CHOICE) * len(places))]
        return min((one, other), key=lambda place: self._peak[place] * (self._in_flight[place] + 1))

    def sent(self, attempt: Attempt) -> None:
        """Count what is in flight."""
        self._in_flight[attempt.provider] += 1

    def heard(self, attempt: Attempt, reply: Reply | None) -> None:
        """Take a latency above the average as it is, one below it little by little."""
        place, now = attempt.provider, self.engine.now
        self._in_flight[place] -= 1
        latency_s = reply.latency_s if reply and reply.kind == "ok" else FIRST_BYTE_S
        old = math.exp(-(now - self._seen_at[place]) / self.decay_s)
        self._peak[place] = max(latency_s, self._peak[place] * old + latency_s * (1 - old))
        self._seen_at[place] = now
