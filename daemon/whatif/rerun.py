"""The recorded history once more, in the order of time, with every request asking another configuration where to go."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Final

from daemon.config.configuration import Configuration
from daemon.routing.leases import Choice, RouteQuery
from daemon.routing.naming import UnknownModel, resolve
from daemon.routing.policy import Strategy
from daemon.routing.selection import choose, earliest_ready
from daemon.routing.strategies.strategy import Turn
from daemon.routing.traffic import Traffic
from daemon.whatif.costing import Prices
from daemon.whatif.course import Course
from daemon.whatif.endings import Result, refused
from daemon.whatif.knowledge import Knowledge
from daemon.whatif.neighbours import NEAR_S, Answer, Neighbours, seen_of
from daemon.whatif.witness import Witness
from state.history.journeys import Journeys, RecordedAttempt, RecordedOperation, RecordedProbe, RecordedRequest
from state.history.recollection import EVIDENCE_AGE_S
from state.standing import HealthSnapshot, TargetHealth
from state.targets import TargetName

__all__ = ["Rerun"]

_NO_TURN: Final = Turn()
_TIDY: Final = 256
"""Requests between two times at which old neighbours are forgotten."""


class Rerun:
    """One pass through a history. What it holds in memory is what happened within two minutes, however long it is."""

    def __init__(self, configuration: Configuration, journeys: Journeys) -> None:
        """Ask `configuration` instead of the one that was in force."""
        self.routes = configuration.routes
        self.prices = Prices(self.routes.places)
        self.neighbours = Neighbours(journeys.hour)
        self._journeys = journeys
        self._knowledge = Knowledge(configuration.policies)
        self._witness = Witness(self._knowledge, self._at)
        self._traffic = Traffic()
        self._turns: dict[str, int] = {}
        self._tickets = count(1)
        self._events: list[tuple[float, int, Callable[[float], object]]] = []
        self._serial = count()
        self._done: list[Result] = []
        self._ahead: deque[RecordedRequest] = deque()
        self._now = 0.0

    def results(self, seconds: float) -> Iterator[Result]:
        """Yield what came of each request of the last `seconds`. Raises HistoryError where it cannot be read.

        What was seen in the ten minutes before is learnt from, as after a restart.
        """
        to_ms = self._journeys.now_ms()
        judged_ms = to_ms - round(seconds * 1e3)
        from_ms = judged_ms - round(EVIDENCE_AGE_S * 1e3)
        for operation in self._journeys.drains(from_ms):
            self._witness.operated(operation, from_ms / 1e3)
        self._follow(self._journeys.observations(from_ms, to_ms))
        for number, request in enumerate(self._requests(from_ms, to_ms)):
            self._run_until(request.at_ms / 1e3)
            self._witness.meet(request)
            if request.at_ms >= judged_ms and request.purpose == _ASKED_BY_CLIENTS:
                self._begin(request)
            if number % _TIDY == 0:
                self.neighbours.forget(self._now - NEAR_S)
            yield from self._take_done()
        self._run_until(float("inf"))
        yield from self._take_done()

    def snapshot(self, now: float) -> HealthSnapshot:
        """Return what would be known of the targets at `now`."""
        return self._knowledge.snapshot(now)

    def choose(self, query: RouteQuery, now: float) -> Choice:
        """Return where `query` would go."""
        turn = Turn(self._turns.get(query.workload.name, 0), next(self._serial))
        return choose(query, self.routes, self.snapshot(now), self._traffic.load(turn, now), now)

    def ready_at(self, query: RouteQuery, now: float) -> float | None:
        """Return when some target may take it, None for never."""
        return earliest_ready(query, self.routes, self.snapshot(now), self._traffic.load(_NO_TURN, now), now)

    def sent(self, choice: Choice, query: RouteQuery, answer: Answer, now: float) -> None:
        """Note an attempt that is under way from now until its expected end."""
        ticket, target = next(self._tickets), choice.chosen or TargetName("")
        health = self.snapshot(now).targets.get(target) or TargetHealth(target=target)
        self._traffic.depart(ticket, choice, query, health, now)
        workload = query.workload
        if workload.strategy == Strategy.ROUND_ROBIN and target in workload.targets:
            self._turns[workload.name] = workload.targets.index(target) + 1
        whole_s = answer.ok_s if answer.failing < 1.0 else answer.failed_s
        if answer.failing < 1.0:
            self._at(now + (whole_s if answer.first_s is None else answer.first_s), partial(self._answered, ticket))
        self._at(now + whole_s, partial(self._traffic.end, ticket))

    def wake(self, go_on: Callable[[float], object], at: float) -> None:
        """Call `go_on` at that time, with it."""
        self._at(at, go_on)

    def done(self, result: Result) -> None:
        """Take in what came of a request."""
        self._done.append(result)

    def _answered(self, ticket: int, _now: float) -> None:
        self._traffic.answered(ticket)

    def _begin(self, request: RecordedRequest) -> None:
        workload = resolve(request.workload, self.routes)
        if isinstance(workload, UnknownModel):
            self.done(refused(request))
        else:
            Course(self, request, workload).go_on(self._now)

    def _requests(self, from_ms: int, to_ms: int) -> Iterator[RecordedRequest]:
        """Yield request after request, once those of the minute behind each are known as neighbours."""
        for request in self._journeys.requests(from_ms, to_ms):
            self._meet_neighbours(request)
            self._ahead.append(request)
            while self._ahead[0].at_ms < request.at_ms - NEAR_S * 1e3:
                yield self._ahead.popleft()
        while self._ahead:
            yield self._ahead.popleft()

    def _meet_neighbours(self, request: RecordedRequest) -> None:
        for attempt in request.attempts:
            if attempt.blame not in _TELLS_NOTHING:
                self.neighbours.add(TargetName(attempt.target), attempt.streamed, seen_of(attempt, request))

    def _follow(self, observations: Iterator[RecordedProbe | RecordedOperation | RecordedAttempt]) -> None:
        """Let the next observation happen when it is time, and then the one after it."""
        if (one := next(observations, None)) is not None:
            self._at(one.at_ms / 1e3, partial(self._observe, one, observations))

    def _observe(
        self,
        one: RecordedProbe | RecordedOperation | RecordedAttempt,
        rest: Iterator[RecordedProbe | RecordedOperation | RecordedAttempt],
        now: float,
    ) -> None:
        match one:
            case RecordedProbe():
                self._witness.probed(one)
            case RecordedOperation():
                self._witness.operated(one, now)
            case RecordedAttempt():
                self._witness.reported(one)
        self._follow(rest)

    def _at(self, at: float, happens: Callable[[float], object]) -> None:
        heapq.heappush(self._events, (at, next(self._serial), happens))

    def _run_until(self, until: float) -> None:
        """Let everything happen that is due."""
        while self._events and self._events[0][0] <= until:
            at, _, happens = heapq.heappop(self._events)
            self._now = max(self._now, at)
            happens(self._now)
        self._now = max(self._now, until) if until < float("inf") else self._now

    def _take_done(self) -> list[Result]:
        done, self._done = self._done, []
        return done


_ASKED_BY_CLIENTS: Final = "client"
"""What is judged; copies and fairlead's own questions are evidence, and would not be asked alike again."""
_TELLS_NOTHING: Final = frozenset({"caller", "policy", "ourselves"})
"""Whose failures say nothing of what another request would have met."""
