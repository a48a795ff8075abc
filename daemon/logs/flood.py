"""How often the log tells of the same: an outage under load is thousands of fallbacks a second, and one story."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

__all__ = ["Flood", "FloodPolicy", "LeftOut", "Span", "admit"]

_TELLING_APART: Final = (
    "target",
    "from_target",
    "fallback",
    "hedge",
    "workload",
    "provider",
    "fault",
    "after",
    "kind",
    "limit",
    "outcome",
    "team",
)
"""Events that differ in one of these are not the same."""
_REMEMBERED: Final = 512


class FloodPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the same is told."""

    most: int = 20
    within_s: float = 10.0


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the same event since `began_at`, in monotonic seconds."""

    began_at: float
    told: int = 0
    left_out: int = 0

    def over(self, policy: FloodPolicy, now: float) -> bool:
        """Return whether the next event begins another span."""
        return now - self.began_at >= policy.within_s


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """How many events of a kind were not told, and of whom they were."""

    event: str
    count: int
    of: tuple[tuple[str, Any], ...] = ()
    """Which target, workload and so on they were of."""


def admit(span: Span | None, policy: FloodPolicy, now: float) -> tuple[Span, int | None]:
    """Take in one more event at `now`: return the span after it, and how many were left out before it.

    None in place of the second means that it is left out itself.
    """
    if span is None or span.over(policy, now):
        return Span(began_at=now, told=1), span.left_out if span else 0
    if span.told < policy.most:
        return msgspec.structs.replace(span, told=span.told + 1), 0
    return msgspec.structs.replace(span, left_out=span.left_out + 1), None


class Flood:
    """Owns the spans of the events that were told lately."""

    def __init__(self, policy: FloodPolicy, clock: Callable[[], float]) -> None:
        """Tell as much as `policy` says; `clock` gives monotonic seconds."""
        self._policy = policy
        self._clock = clock
        self._spans: dict[tuple[Any, ...], Span] = {}
        self._forgotten = 0

    def follow(self, policy: FloodPolicy) -> None:
        """Tell as much as another policy says from now on."""
        self._policy = policy

    def admits(self, event: Mapping[str, Any]) -> int | None:
        """Return how many of the same were left out before `event`, or None where it is to be left out too."""
        key = (event.get("event"), *map(event.get, _TELLING_APART))
        span, before = admit(self._spans.get(key), self._policy, self._clock())
        self._spans[key] = span
        if len(self._spans) > _REMEMBERED:
            self._forgotten += self._spans.pop(next(iter(self._spans))).left_out
        return before

    def settled(self) -> Iterator[LeftOut]:
        """Return what was left out and nobody told yet, of the spans that are over; each is returned once."""
        now = self._clock()
        for key in [key for key, span in self._spans.items() if span.over(self._policy, now)]:
            if count := self._spans.pop(key).left_out:
                yield _left_out(key, count)
        if self._forgotten:
            forgotten, self._forgotten = self._forgotten, 0
            yield LeftOut(event="other events", count=forgotten)

    def ended(self) -> Iterator[LeftOut]:
        """Return all that was left out and nobody told yet: the last word before the end."""
        spans, self._spans = self._spans, {}
        return (_left_out(key, span.left_out) for key, span in spans.items() if span.left_out)


def _left_out(key: tuple[Any, ...], count: int) -> LeftOut:
    named = zip(_TELLING_APART, key[1:], strict=True)
    return LeftOut(event=str(key[0]), count=count, of=tuple(one for one in named if one[1] is not None))
