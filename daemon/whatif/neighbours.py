"""What a target would have answered to a request that was not sent to it: what it answered to others at about the time.

Nobody knows it. The nearest attempt within a minute is the best that a history can say, the hour's figures are the next
best, and where neither is there it is unknown, and said to be.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from daemon.whatif.costing import UNKNOWN, Spent, counts_of
from state.faults import Fault
from state.history.journeys import HourSummary, RecordedAttempt, RecordedRequest
from state.outcome import Usage
from state.targets import TargetName

__all__ = ["NEAR_S", "Answer", "Basis", "Neighbours", "Seen", "answer_of", "seen_of"]

NEAR_S: Final = 60.0
"""Seconds within which another request's attempt says something of this one."""
_HOURS_KEPT: Final = 4096
"""Hours of targets whose figures are kept; beyond it all are forgotten at once."""
_HOUR_S: Final = 3600.0


class Basis(StrEnum):
    """What an expectation rests on, from the strongest to the weakest."""

    RECORDED = "recorded"
    """The request goes the way that it went."""
    OWN = "own"
    """It goes elsewhere, to targets that it was sent to itself, in another order."""
    RULES = "rules"
    """The configuration alone refuses it: no target would be there, or nothing has that name."""
    NEIGHBOURS = "neighbours"
    """Other requests' attempts at the same target within 60 s."""
    HOUR = "hour"
    """The hour's median latency and share of failures."""
    UNKNOWN = "unknown"

    @property
    def weakness(self) -> int:
        """Its place in that order."""
        return _ORDER.index(self)


_ORDER: Final = tuple(Basis)


class Seen(NamedTuple):
    """One attempt that somebody made. Times in seconds."""

    started_at: float
    fault: str | None
    latency_s: float
    first_s: float | None
    retry_after_s: float | None
    usage: Usage
    """What was counted."""


class Answer(NamedTuple):
    """What is expected of one attempt."""

    basis: Basis
    failing: float = 0.0
    """The chance that it fails, 0 or 1 where a single attempt says so."""
    ok_s: float = 0.0
    """Seconds until it has succeeded."""
    failed_s: float = 0.0
    """Seconds until it has failed."""
    first_s: float | None = None
    fault: Fault | None = None
    retry_after_s: float | None = None
    usage: Usage = Usage()
    """What was counted for whoever it was answered to."""
    ok_spent: Spent = UNKNOWN
    """What it costs where it succeeds."""
    failed_spent: Spent = Spent(0.0, estimated=True)
    """What it costs where it fails: nobody charges for errors."""


_UNKNOWN: Final = Answer(Basis.UNKNOWN)
_Key = tuple[TargetName, int]
_Hour = Callable[[str, int, int], HourSummary]


class Neighbours:
    """The attempts of about now, by target, streamed ones apart from whole ones."""

    def __init__(self, hour: _Hour) -> None:
        """Know no attempt yet; `hour` tells of the hour in which a Unix millisecond lies."""
        self._hour = hour
        self._seen: dict[_Key, list[Seen]] = {}
        self._hours: dict[tuple[_Key, int], HourSummary] = {}

    def __len__(self) -> int:
        """Return how many attempts are held."""
        return sum(map(len, self._seen.values()))

    def __iter__(self) -> Iterator[_Key]:
        """Iterate over what attempts are held of."""
        return iter(self._seen)

    def add(self, target: TargetName, streamed: int, seen: Seen) -> None:
        """Take in an attempt; they may come a little out of order."""
        insort(self._seen.setdefault((target, streamed), []), seen, key=_started_at)

    def forget(self, before: float) -> None:
        """Let go of the attempts that were started before that time."""
        for key, line in list(self._seen.items()):
            del line[: bisect_left(line, before, key=_started_at)]
            if not line:
                del self._seen[key]

    def answer(self, target: TargetName, streamed: int, at: float) -> Answer:
        """Return what `target` is expected to answer at `at`, Unix seconds."""
        nearest = self._nearest((target, streamed), at)
        return self._by_hour((target, streamed), at) if nearest is None else answer_of(nearest, Basis.NEIGHBOURS)

    def _nearest(self, key: _Key, at: float) -> Seen | None:
        line = self._seen.get(key, [])
        place = bisect_left(line, at, key=_started_at)
        near = [seen for seen in line[max(0, place - 1) : place + 1] if abs(seen.started_at - at) <= NEAR_S]
        return min(near, key=lambda seen: abs(seen.started_at - at), default=None)

    def _by_hour(self, key: _Key, at: float) -> Answer:
        place = (key, int(at // _HOUR_S))
        hour = self._hours.get(place)
        if hour is None:
            if len(self._hours) >= _HOURS_KEPT:
                self._hours.clear()
            hour = self._hours[place] = self._hour(*key, int(at * 1000))
        if not hour.n:
            return _UNKNOWN
        return Answer(
            Basis.HOUR,
            failing=hour.failed / hour.n,
            ok_s=(hour.ok_ms or 0.0) / 1e3,
            failed_s=(hour.failed_ms or 0.0) / 1e3,
            fault=None if hour.fault is None else Fault(hour.fault),
        )


def answer_of(seen: Seen, basis: Basis) -> Answer:
    """Return what one attempt lets expect."""
    return Answer(
        basis,
        failing=0.0 if seen.fault is None else 1.0,
        ok_s=seen.latency_s,
        failed_s=seen.latency_s,
        first_s=seen.first_s,
        fault=None if seen.fault is None else Fault(seen.fault),
        retry_after_s=seen.retry_after_s,
        usage=seen.usage,
    )


def seen_of(attempt: RecordedAttempt, request: RecordedRequest) -> Seen:
    """Return an attempt as others may learn from it, its times in seconds."""
    return Seen(
        started_at=(attempt.at_ms - attempt.latency_ms) / 1e3,
        fault=attempt.fault,
        latency_s=attempt.latency_ms / 1e3,
        first_s=None if attempt.first_byte_ms is None else attempt.first_byte_ms / 1e3,
        retry_after_s=None if attempt.retry_after_ms is None else attempt.retry_after_ms / 1e3,
        usage=counts_of(attempt, request),
    )


def _started_at(seen: Seen) -> float:
    return seen.started_at
