"""The providers as they truly are: what becomes of an attempt, who is served and who waits in line."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from benchmarks.routing.arrivals import Request
from benchmarks.routing.draws import Draw, lognormal, uniform
from benchmarks.routing.quota import Quota
from benchmarks.routing.trace import Provider, Segment, at

__all__ = ["PROBE_OUTPUT", "PROBE_PROMPT", "Attempt", "Fate", "Kind", "Place", "listed"]

Kind = Literal["ok", "error", "refused", "rate_limited", "cut"]

PROBE_PROMPT: Final = 12
PROBE_OUTPUT: Final = 8
"""Tokens of a probe: "say ok" and a few words back."""

_REFUSED_S: Final = (0.001, 0.005)
_ERROR_S: Final = (0.05, 0.15)
_LIMITED_S: Final = (0.04, 0.06)
"""How long a quick answer takes, in seconds: between these."""


class Fate(msgspec.Struct, frozen=True):
    """What becomes of an attempt, counted in seconds from when it is served; `kind` None never answers."""

    kind: Kind | None
    status: int | None = None
    ends_s: float = 0.0
    first_s: float | None = None
    tokens: int = 0


class Attempt:
    """One try of a request at a provider, or a probe of it (`request` None)."""

    __slots__ = (
        "_cancel",
        "fate",
        "luck",
        "number",
        "on_served",
        "provider",
        "request",
        "served_at",
        "started_at",
    )

    def __init__(self, request: Request | None, provider: int, number: int, luck: int) -> None:
        """Be the `number`-th attempt of its request, at the provider in that place."""
        self.request = request
        self.provider = provider
        self.number = number
        self.luck = luck
        self.started_at = 0.0
        self.served_at: float | None = None
        self.fate: Fate | None = None
        self.on_served: Callable[[], None] | None = None
        """What happens when the line has reached it."""
        self._cancel: Callable[[], None] | None = None

    @property
    def prompt_tokens(self) -> int:
        """How long the prompt is."""
        return self.request.prompt_tokens if self.request else PROBE_PROMPT

    @property
    def streamed(self) -> bool:
        """Whether the first token is seen when it comes; it is for probes."""
        return self.request is None or self.request.streamed

    def cancel(self) -> None:
        """Give up: the provider's slot is free at once, and nothing more is heard of this attempt."""
        if self._cancel:
            self._cancel()
            self._cancel = None

    def cancelled_by(self, cancel: Callable[[], None] | None) -> None:
        """Let the engine say how this attempt is given up; None where it is over."""
        self._cancel = cancel


class Place:
    """One provider: its limit, who is served and who waits, and when it was last used."""

    def __init__(self, provider: Provider) -> None:
        """Start with nobody served."""
        self.provider = provider
        self.quota = Quota(provider)
        self.serving: set[Attempt] = set()
        self.waiting: deque[Attempt] = deque()
        self._used_at = -math.inf if provider.start_cold else 0.0

    def turned_away(self, attempt: Attempt, now: float) -> Fate | None:
        """Return the quick answer of a provider that does not let this attempt in; None where it gets in line."""
        segment = at(self.provider, now)
        if segment.mode == "refuse" and not _probe_passes(attempt, segment):
            return Fate("refused", None, _within(_REFUSED_S, attempt))
        if not self.quota.take(now):
            return Fate("rate_limited", 429, _within(_LIMITED_S, attempt))
        if _fails(attempt, segment):
            return Fate("error", 500, _within(_ERROR_S, attempt))
        if self.full() and self.provider.queue_max is not None and len(self.waiting) >= self.provider.queue_max:
            return Fate("error", 503, _within(_ERROR_S, attempt))
        return None

    def full(self) -> bool:
        """Return whether who comes now must wait."""
        return self.provider.conc is not None and len(self.serving) >= self.provider.conc

    def serve(self, attempt: Attempt, now: float) -> Fate:
        """Give the attempt a slot and return what becomes of it."""
        fate = _fate(attempt, at(self.provider, now), self._warm_up_s(now) + self._prefill_s(attempt.prompt_tokens))
        self.serving.add(attempt)
        self._used_at = now
        attempt.served_at, attempt.fate = now, fate
        return fate

    def leave(self, attempt: Attempt, now: float) -> None:
        """Free the attempt's slot or its place in line."""
        if attempt in self.serving:
            self.serving.remove(attempt)
            self._used_at = now
        elif attempt in self.waiting:
            self.waiting.remove(attempt)

    def ttft_s(self, prompt_tokens: int, now: float) -> float:
        """Return the expected time to the first token of a request served now: luck averaged out."""
        segment = at(self.provider, now)
        mean = segment.ttft * math.exp(segment.sigma**2 / 2) * (1 + segment.tail_p * (segment.tail_x - 1))
        return mean + self._warm_up_s(now) + self._prefill_s(prompt_tokens)

    def _warm_up_s(self, now: float) -> float:
        """Return what a cold start adds; in use or used a moment ago it adds nothing."""
        idle = self.provider.cold_idle
        cold = self._used_at == -math.inf or (idle is not None and now - self._used_at > idle)
        return self.provider.cold_extra if cold and not self.serving else 0.0

    def _prefill_s(self, prompt_tokens: int) -> float:
        return prompt_tokens / self.provider.prefill_tps if self.provider.prefill_tps else 0.0


def listed(provider: Provider, now: float) -> bool | None:
    """Return whether a models listing asked for now succeeds; None where it is never answered."""
    segment = at(provider, now)
    if segment.models_ok is not None:
        return segment.models_ok
    return None if segment.mode == "hang" else segment.mode in {"ok", "gray"}


def _probe_passes(attempt: Attempt, segment: Segment) -> bool:
    """Return whether this is a probe that passes whatever the mode."""
    return attempt.request is None and (segment.probe_ok or (segment.probe_ok is None and segment.mode == "gray"))


def _fails(attempt: Attempt, segment: Segment) -> bool:
    """Return whether the provider answers this attempt with a 500."""
    if attempt.request is None and segment.probe_ok is not None:
        return not segment.probe_ok and segment.mode != "hang"
    if _probe_passes(attempt, segment):
        return False
    return segment.mode in {"5xx", "refuse"} or uniform(attempt.luck, Draw.FAULT) < segment.p5xx


def _hangs(attempt: Attempt, segment: Segment) -> bool:
    if _probe_passes(attempt, segment):
        return False
    return segment.mode == "hang" or uniform(attempt.luck, Draw.HANG) < segment.phang


def _fate(attempt: Attempt, segment: Segment, waits_s: float) -> Fate:
    """Return what becomes of an attempt that is served under `segment`; `waits_s` comes before its first token."""
    luck = attempt.luck
    if _fails(attempt, segment):
        return Fate("error", 500, _within(_ERROR_S, attempt))
    if _hangs(attempt, segment):
        return Fate(None)
    first_s = segment.ttft * lognormal(luck, Draw.TTFT, segment.sigma) + waits_s
    if uniform(luck, Draw.TAIL) < segment.tail_p:
        first_s += (first_s - waits_s) * (segment.tail_x - 1)
    tokens = float(attempt.request.output_tokens if attempt.request else PROBE_OUTPUT)
    if attempt.request and uniform(luck, Draw.LONG) < segment.p_long:
        tokens = max(tokens, segment.long_min)
    tps = segment.tps * lognormal(luck, Draw.SPEED, segment.tps_sigma)
    kind: Kind = "ok"
    if uniform(luck, Draw.CUT) < segment.pmid and not _probe_passes(attempt, segment):
        kind, tokens = "cut", tokens * uniform(luck, Draw.CUT_SHARE)
    return Fate(kind, 200, first_s + tokens / tps, first_s, math.ceil(tokens))


def _within(bounds: tuple[float, float], attempt: Attempt) -> float:
    low, high = bounds
    return low + (high - low) * uniform(attempt.luck, Draw.ANSWER)
