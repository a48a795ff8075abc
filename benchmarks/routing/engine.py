"""The virtual clock: what is due next happens next, and a run of minutes takes a moment."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from benchmarks.routing.arrivals import Request, requests
from benchmarks.routing.draws import key
from benchmarks.routing.tally import Tally
from benchmarks.routing.trace import Trace
from benchmarks.routing.world import Attempt, Fate, Kind, Place, listed

__all__ = ["PROBES", "Attempt", "Engine", "Listener", "Policy", "Reply", "Request", "Timer"]

_LISTING_S: Final = 0.1
_LISTING_HANGS_S: Final = 5.0
_PATIENCE_S: Final = 120.0
"""How long after the last arrival requests may still end."""
PROBES: Final = -3
"""Root of the keys of probes: beside the roots in arrivals.py, and below every request's index."""


class Reply(msgspec.Struct, frozen=True):
    """How an attempt ended; times in seconds since it was sent."""

    kind: Kind
    status: int | None
    latency_s: float
    first_s: float | None
    """To the first token, where it was seen coming."""
    tokens: int | None
    """Output tokens that were delivered."""
    retry_after_s: float | None = None
    remaining: int | None = None
    """Requests that the provider would take now, where it says so."""
    reset_s: float | None = None
    """Until it takes one more, counted from this reply."""


class Listener(Protocol):
    """Who hears of an attempt; never called within `send`."""

    def began(self, attempt: Attempt, at: float) -> None:
        """Hear that the first token came; only for streamed requests and probes."""

    def ended(self, attempt: Attempt, reply: Reply) -> None:
        """Hear how it ended."""


class Policy(Protocol):
    """What is compared: it gets each request, and must settle it."""

    name: str

    def begin(self, engine: Engine) -> None:
        """Get ready, before the first request."""

    def arrive(self, request: Request) -> None:
        """Take a request."""


class Timer:
    """Something due at a time."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None] | None) -> None:
        """Let `callback` be called when it is due."""
        self.callback = callback

    def cancel(self) -> None:
        """Never call."""
        self.callback = None


class Engine:
    """Runs one policy through one trace."""

    def __init__(self, trace: Trace, seed: int, policy: Policy) -> None:
        """Draw the requests; nothing happens before `run`."""
        self.now = 0.0
        self.trace = trace
        self.seed = seed
        self.policy = policy
        self.providers: tuple[str, ...] = tuple(provider.name for provider in trace.providers)
        self.cost_per_mtok: tuple[float, ...] = tuple(provider.cost_per_mtok for provider in trace.providers)
        self.requests = requests(trace, seed)
        self.places = tuple(Place(provider) for provider in trace.providers)
        """The truth about the providers: only the oracle may look at it."""
        self.tally = Tally(len(self.requests))
        self._due: list[tuple[float, int, Timer]] = []
        self._timers = 0
        self._tries: dict[tuple[int, int], int] = {}

    def run(self) -> Tally:
        """Let everything happen until every request is settled, or 120 s after the trace's end."""
        self.policy.begin(self)
        for request in self.requests:
            self.at(request.at, lambda request=request: self.policy.arrive(request))  # type: ignore[misc]
        end = self.trace.duration + _PATIENCE_S
        while self._due and self.tally.open and self._due[0][0] <= end:
            self.now, _, timer = heapq.heappop(self._due)
            if timer.callback:
                timer.callback()
        return self.tally

    def at(self, time: float, callback: Callable[[], None]) -> Timer:
        """Call back at `time`, or next where that has passed; what is due at the same time comes in order of asking."""
        timer = Timer(callback)
        self._timers += 1
        heapq.heappush(self._due, (max(time, self.now), self._timers, timer))
        return timer

    def send(self, provider: int, listener: Listener, request: Request | None) -> Attempt:
        """Send `request` to the provider in that place; None sends a probe: 8 output tokens, paid for."""
        number = self.tally.sent(request, provider, self.now)
        attempt = Attempt(request, provider, number, self._luck(provider, request))
        attempt.started_at = self.now
        _Course(self, attempt, listener).begin()
        return attempt

    def listing(self, provider: int, callback: Callable[[bool], None]) -> None:
        """Ask for the models, which is free: answered after 0.1 s, or given up after 5 s."""
        answer = listed(self.trace.providers[provider], self.now)
        wait_s = _LISTING_HANGS_S if answer is None else _LISTING_S
        self.at(self.now + wait_s, lambda: callback(bool(answer)))

    def settle(self, request: Request, served: bool) -> None:  # noqa: FBT001 - policies are written against it
        """Take note that the request is over for the client."""
        self.tally.settle(request, self.now, served)

    def hedged(self, request: Request) -> None:
        """Take note that the last attempt of the request was a hedge."""
        self.tally.hedged.add(request.index)
        self.tally.hedges += 1

    def _luck(self, provider: int, request: Request | None) -> int:
        index = request.index if request else PROBES
        tried = self._tries.get((index, provider), 0)
        self._tries[index, provider] = tried + 1
        return key(self.seed, index, provider, tried)


class _Course:
    """An attempt's way through a provider."""

    __slots__ = ("_attempt", "_engine", "_listener", "_place", "_timers")

    def __init__(self, engine: Engine, attempt: Attempt, listener: Listener) -> None:
        self._engine = engine
        self._attempt = attempt
        self._listener = listener
        self._place = engine.places[attempt.provider]
        self._timers: list[Timer] = []

    def begin(self) -> None:
        attempt, engine = self._attempt, self._engine
        attempt.cancelled_by(self._cancel)
        fate = self._place.turned_away(attempt, engine.now)
        if fate:
            self._later(engine.now + fate.ends_s, lambda: self._end(fate))
        elif self._place.full():
            attempt.on_served = self._serve
            self._place.waiting.append(attempt)
        else:
            self._serve()

    def _serve(self) -> None:
        now, fate = self._engine.now, self._place.serve(self._attempt, self._engine.now)
        if fate.first_s is not None and self._attempt.streamed:
            self._later(now + fate.first_s, lambda: self._listener.began(self._attempt, self._engine.now))
        if fate.kind:
            self._later(now + fate.ends_s, lambda: self._end(fate))

    def _later(self, time: float, callback: Callable[[], None]) -> None:
        self._timers.append(self._engine.at(time, callback))

    def _end(self, fate: Fate) -> None:
        self._attempt.cancelled_by(None)
        if fate.first_s is not None:
            self._bill(fate.tokens)
        self._leave()
        self._listener.ended(self._attempt, self._reply(fate))

    def _cancel(self) -> None:
        for timer in self._timers:
            timer.cancel()
        fate, served_at, now = self._attempt.fate, self._attempt.served_at, self._engine.now
        if fate and fate.first_s is not None and served_at is not None:
            share = (now - served_at - fate.first_s) / max(fate.ends_s - fate.first_s, 1e-9)
            self._bill(math.ceil(fate.tokens * max(0.0, share)))
        self._leave()

    def _bill(self, tokens: int) -> None:
        price = self._engine.cost_per_mtok[self._attempt.provider]
        self._engine.tally.bill(self._attempt.request, (self._attempt.prompt_tokens + tokens) * price / 1e6)

    def _leave(self) -> None:
        self._place.leave(self._attempt, self._engine.now)
        while self._place.waiting and not self._place.full():
            following = self._place.waiting.popleft().on_served
            if following:
                following()

    def _reply(self, fate: Fate) -> Reply:
        attempt, now = self._attempt, self._engine.now
        quota = self._place.quota
        told = self._place.provider.headers and quota.limited and fate.kind != "refused"
        reset_s = quota.reset_s(now) if told else None
        return Reply(
            kind=fate.kind or "error",
            status=fate.status,
            latency_s=now - attempt.started_at,
            first_s=self._first_s(fate),
            tokens=fate.tokens if fate.first_s is not None else None,
            retry_after_s=math.ceil(reset_s) if fate.kind == "rate_limited" and reset_s is not None else None,
            remaining=quota.remaining(now) if told else None,
            reset_s=reset_s,
        )

    def _first_s(self, fate: Fate) -> float | None:
        attempt = self._attempt
        if fate.first_s is None or attempt.served_at is None or not attempt.streamed:
            return None
        return attempt.served_at - attempt.started_at + fate.first_s
