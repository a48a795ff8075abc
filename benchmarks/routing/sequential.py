"""What policies without hedges have in common: one attempt at a time, three at most, and an end to waiting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from benchmarks.routing.engine import Attempt, Engine, Reply, Request, Timer

__all__ = ["FIRST_BYTE_S", "MOST_ATTEMPTS", "SequentialPolicy"]

MOST_ATTEMPTS: Final = 3
FIRST_BYTE_S: Final = 30.0
WHOLE_ANSWER_S: Final = 60.0
"""How long an answer that is not streamed may take: its first byte comes with its last."""
HELD_S: Final = 60.0
"""How long a request is held where nobody is usable; failing costs as much."""
_LOOK_AGAIN_S: Final = 0.25


class SequentialPolicy(ABC):
    """Sends a request where `choose` says, and to the next where that fails."""

    name = ""

    def begin(self, engine: Engine) -> None:
        """Get ready, before the first request."""
        self.engine = engine

    def arrive(self, request: Request) -> None:
        """Pursue the request until it is served, lost, or tried three times."""
        _Pursuit(self, request).advance()

    @abstractmethod
    def choose(self, request: Request, tried: tuple[int, ...]) -> int | None:
        """Return where to send; `tried` is where this request failed. None holds it and asks again soon."""

    def sent(self, _attempt: Attempt) -> None:
        """Hear that an attempt was sent."""
        return

    def heard(self, _attempt: Attempt, _reply: Reply | None) -> None:
        """Hear how an attempt ended; None where nothing came in time."""
        return

    def untried(self, tried: tuple[int, ...]) -> list[int]:
        """Return the places of the providers that the request has not failed at; all where it has at each."""
        places = range(len(self.engine.providers))
        return [place for place in places if place not in tried] or list(places)


class _Pursuit:
    """One request's attempts."""

    __slots__ = ("_attempt", "_policy", "_request", "_timer", "_tried")

    def __init__(self, policy: SequentialPolicy, request: Request) -> None:
        self._policy = policy
        self._request = request
        self._tried: tuple[int, ...] = ()
        self._attempt: Attempt | None = None
        self._timer: Timer | None = None

    def advance(self) -> None:
        engine = self._policy.engine
        if len(self._tried) == MOST_ATTEMPTS or engine.now - self._request.at >= HELD_S:
            engine.settle(self._request, served=False)
            return
        place = self._policy.choose(self._request, self._tried)
        if place is None:
            engine.at(engine.now + _LOOK_AGAIN_S, self.advance)
            return
        self._attempt = engine.send(place, self, self._request)
        wait_s = FIRST_BYTE_S if self._request.streamed else WHOLE_ANSWER_S
        self._timer = engine.at(engine.now + wait_s, self._give_up)
        self._policy.sent(self._attempt)

    def began(self, _attempt: Attempt, _at: float) -> None:
        self._stop_waiting()

    def ended(self, attempt: Attempt, reply: Reply) -> None:
        self._stop_waiting()
        self._policy.heard(attempt, reply)
        if reply.kind == "ok" or (reply.kind == "cut" and self._request.streamed):
            self._policy.engine.settle(self._request, served=reply.kind == "ok")
        else:
            self._fail(attempt)

    def _give_up(self) -> None:
        if self._attempt:
            self._attempt.cancel()
            self._policy.heard(self._attempt, None)
            self._fail(self._attempt)

    def _fail(self, attempt: Attempt) -> None:
        self._tried += (attempt.provider,)
        self.advance()

    def _stop_waiting(self) -> None:
        if self._timer:
            self._timer.cancel()
