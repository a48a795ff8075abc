"""The clairvoyant oracle: it knows the providers' true state and each request's length, but not the luck."""

from __future__ import annotations

import heapq
import math
from typing import Final

import msgspec

from benchmarks.routing.engine import Attempt, Request
from benchmarks.routing.sequential import FIRST_BYTE_S, SequentialPolicy
from benchmarks.routing.trace import Segment, at
from benchmarks.routing.world import Place

__all__ = ["Oracle"]

_LOST_S: Final = 60.0
"""What a request costs that fails for good, as in scoring.py."""
_ERROR_S: Final = 0.1
_OVERDUE: Final = 0.2
"""An answer that takes longer than expected is expected to take this share more."""


class _Outlook(msgspec.Struct, frozen=True):
    """A provider as one request would find it."""

    place: int
    segment: Segment
    wait_s: float
    service_s: float

    @property
    def whole_s(self) -> float:
        return self.wait_s + self.service_s


class Oracle(SequentialPolicy):
    """Sends each request where it is expected to complete soonest, its failures' cost included."""

    name = "oracle"

    def __init__(self, _seed: int) -> None:
        """Need no luck."""
        self._expected_s: dict[Attempt, float] = {}
        self._chosen_s = 0.0

    def choose(self, request: Request, tried: tuple[int, ...]) -> int | None:
        """Return where the least time is expected; None where nobody would serve it now."""
        outlooks = [outlook for place in self.untried(tried) if (outlook := self._outlook(place, request))]
        if not outlooks and tried:
            places = range(len(self.engine.providers))
            outlooks = [outlook for place in places if (outlook := self._outlook(place, request))]
        if not outlooks:
            return None
        best = min(outlooks, key=lambda outlook: _cost(outlook, outlooks, request))
        self._chosen_s = best.service_s
        return best.place

    def sent(self, attempt: Attempt) -> None:
        """Remember how long this one is expected to occupy its slot."""
        self._expected_s[attempt] = self._chosen_s

    def _outlook(self, number: int, request: Request) -> _Outlook | None:
        """Return what the request would find there now; None where it would be turned away."""
        place, now = self.engine.places[number], self.engine.now
        segment = at(place.provider, now)
        if segment.mode in {"5xx", "refuse", "hang"} or (place.quota.limited and place.quota.remaining(now) < 1):
            return None
        if place.full() and place.provider.queue_max is not None and len(place.waiting) >= place.provider.queue_max:
            return None
        long = max(float(request.output_tokens), segment.long_min)
        tokens = request.output_tokens + segment.p_long * (long - request.output_tokens)
        generation_s = tokens / segment.tps * math.exp(segment.tps_sigma**2 / 2)
        return _Outlook(number, segment, self._wait_s(place), place.ttft_s(request.prompt_tokens, now) + generation_s)

    def _wait_s(self, place: Place) -> float:
        """Return how long the line is, as expected: each slot's rest, and those ahead in line."""
        if not place.full():
            return 0.0
        slots = [self._rest_s(attempt) for attempt in place.serving]
        heapq.heapify(slots)
        for attempt in place.waiting:
            heapq.heapreplace(slots, slots[0] + self._expected_s[attempt])
        return slots[0]

    def _rest_s(self, attempt: Attempt) -> float:
        served_at = attempt.served_at if attempt.served_at is not None else self.engine.now
        expected_s = self._expected_s.get(attempt, 0.0)
        return max(served_at + expected_s - self.engine.now, _OVERDUE * expected_s)


def _cost(outlook: _Outlook, outlooks: list[_Outlook], request: Request) -> float:
    """Return the seconds that sending there is expected to cost, the next attempt after a failure included."""
    others = [other.whole_s for other in outlooks if other is not outlook]
    again_s = min(others, default=outlook.whole_s)
    segment, whole_s = outlook.segment, outlook.whole_s
    cut_s = _LOST_S if request.streamed else whole_s / 2 + again_s
    served_s = (1 - segment.pmid) * whole_s + segment.pmid * cut_s
    answered_s = (1 - segment.phang) * served_s + segment.phang * (FIRST_BYTE_S + again_s)
    return (1 - segment.p5xx) * answered_s + segment.p5xx * (_ERROR_S + again_s)
