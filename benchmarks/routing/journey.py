"""One request's way: choice, attempts, waits and hedges, each decided by the daemon's own functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from benchmarks.routing.engine import Attempt, Reply, Request, Timer
from benchmarks.routing.evidence import outcome_of
from daemon.routing.chain import Onward, Situation, next_step
from daemon.routing.hedging import hedge_helps, hedge_time
from daemon.routing.latency import patience_s
from daemon.routing.leases import Candidate, Choice, RouteQuery
from daemon.routing.selection import choose, earliest_ready
from daemon.routing.strategies.strategy import Turn
from probes.surfaces import Surface
from state.faults import Blame, Fault
from state.messages import AnswerBegan, AttemptCompleted
from state.outcome import Outcome
from state.targets import TargetName

if TYPE_CHECKING:
    from benchmarks.routing.fairlead import Fairlead

__all__ = ["Journey"]

_FIRST_BYTE_S = 30.0
_NO_TURN = Turn()


class Journey:
    """The life of one request."""

    def __init__(self, policy: Fairlead, request: Request) -> None:
        """Begin where nothing has been tried."""
        self._policy = policy
        self.request = request
        self._tried: list[TargetName] = []
        self._legs: list[_Leg] = []
        self._won: _Leg | None = None

    def go_on(self) -> None:
        """Ask for a target; wait where there is none."""
        policy, now = self._policy, self._policy.engine.now
        query = self._query()
        choice = self._choose(query)
        if choice.chosen is None:
            snapshot = policy.knowledge.snapshot(now)
            ready_at = earliest_ready(query, policy.routes, snapshot, policy.traffic.load(_NO_TURN, now), now)
            until = self.request.at + policy.workload.max_wait
            if ready_at is not None and now < until:
                policy.waiting[self.request.index] = self
                return
            choice = self._choose(replace(query, desperate=True))
        policy.waiting.pop(self.request.index, None)
        if choice.chosen is None:
            policy.engine.settle(self.request, served=False)
            return
        _Leg(self, policy, choice, query).go()

    def _query(self) -> RouteQuery:
        return RouteQuery(
            request_id="",
            workload=self._policy.workload,
            surface=Surface.CHAT,
            number=len(self._tried) + 1,
            tried=tuple(self._tried),
            fallback_on=self._policy.workload.fallback_on,
            max_tokens=self.request.max_tokens,
            streamed=self.request.streamed,
            may_hedge=not self._tried,
        )

    def _choose(self, query: RouteQuery) -> Choice:
        policy, now = self._policy, self._policy.engine.now
        turn = Turn(0, policy.seed)
        return choose(query, policy.routes, policy.knowledge.snapshot(now), policy.traffic.load(turn, now), now)

    def departed(self, leg: _Leg) -> None:
        """Note an attempt that is under way."""
        self._tried.append(leg.target)
        self._legs.append(leg)
        self._policy.asked_at = self._policy.engine.now

    def first(self, leg: _Leg) -> None:
        """Let the first one with a word win: the others are cancelled."""
        if self._won is None:
            self._won = leg
            for other in list(self._legs):
                if other is not leg:
                    self._legs.remove(other)
                    other.give_up()

    def hedge(self, leg: _Leg, own: Candidate) -> None:
        """Ask the runner-up too, where that helps and the budget allows it."""
        if self._won is not None or leg not in self._legs or len(self._legs) > 1:
            return
        query = self._query()
        choice = self._choose(query)
        runner_up = _scored(choice)
        if runner_up is None or "first_s" not in runner_up.terms or "trial" in runner_up.terms:
            return
        if not hedge_helps(own, runner_up, self._policy.engine.now - leg.started_at):
            return
        budget = self._policy.budget.after_hedge()
        if budget is None:
            return
        self._policy.budget = budget
        self._policy.engine.hedged(self.request)
        _Leg(self, self._policy, choice, replace(query, may_hedge=False)).go()

    def ended(self, leg: _Leg, outcome: Outcome) -> None:
        """Take in the end of an attempt."""
        self._legs.remove(leg)
        engine = self._policy.engine
        if outcome.fault is None:
            self.first(leg)
            engine.settle(self.request, served=True)
        elif outcome.fault is Fault.CUT:
            engine.settle(self.request, served=False)
        elif not self._legs:
            self._fall_back(outcome)
        self._policy.serve_line()

    def _fall_back(self, outcome: Outcome) -> None:
        engine, workload = self._policy.engine, self._policy.workload
        situation = Situation(
            outcome=outcome,
            attempts=len(self._tried),
            repeatable=False,
            fallback_allowed=True,
            now=engine.now,
            deadline=float("inf"),
        )
        if isinstance(next_step(workload, situation), Onward):
            self.go_on()
        else:
            engine.settle(self.request, served=False)


class _Leg:
    """One attempt under way."""

    def __init__(self, journey: Journey, policy: Fairlead, choice: Choice, query: RouteQuery) -> None:
        self._journey = journey
        self._policy = policy
        self._choice = choice
        self._query = query
        self.target = choice.chosen or TargetName("")
        self._first_s: float | None = None
        self._timers: list[Timer] = []

    def go(self) -> None:
        policy, engine = self._policy, self._policy.engine
        now = self.started_at = engine.now
        policy.tickets += 1
        self._ticket = policy.tickets
        health = policy.knowledge.health(self.target)
        self._held, self._departure = policy.traffic.depart(self._ticket, self._choice, self._query, health, now)
        self._journey.departed(self)
        own = _scored(self._choice)
        self._attempt = engine.send(policy.places[self.target], self, self._journey.request)
        patience = patience_s(own.terms, _FIRST_BYTE_S) if own and self._query.streamed else _FIRST_BYTE_S
        self._timers.append(engine.at(now + patience, self._late))
        after_s = hedge_time(self._choice, self._query) if self._query.may_hedge else None
        if own is not None and after_s is not None:
            self._timers.append(engine.at(now + after_s, lambda: self._journey.hedge(self, own)))

    def began(self, _attempt: Attempt, at: float) -> None:
        policy = self._policy
        self._stop_timers()
        self._first_s = at - self.started_at
        policy.traffic.answered(self._ticket)
        policy.knowledge.begun(
            AnswerBegan(
                target=self.target,
                first_s=self._first_s,
                started_at=self.started_at,
                at=at,
                in_flight=self._departure.in_flight,
                idle_s=self._departure.idle_s,
            )
        )
        self._journey.first(self)

    def ended(self, _attempt: Attempt, reply: Reply) -> None:
        self._over(outcome_of(reply, streamed=self._journey.request.streamed, first_s=self._first_s))

    def give_up(self) -> None:
        """Be the loser of a race."""
        self._stop_timers()
        self._attempt.cancel()
        self._policy.traffic.end(self._ticket, self._policy.engine.now)
        waited_s = self._policy.engine.now - self.started_at
        streamed = self._journey.request.streamed
        self._learn(Outcome(fault=Fault.CANCELLED, latency_s=waited_s, streamed=streamed, at_fault=Blame.OURSELVES))

    def _late(self) -> None:
        self._attempt.cancel()
        waited_s = self._policy.engine.now - self.started_at
        self._over(Outcome(fault=Fault.TIMEOUT, latency_s=waited_s, streamed=self._journey.request.streamed))

    def _over(self, outcome: Outcome) -> None:
        self._stop_timers()
        if outcome.fault is None:
            self._policy.traffic.answered(self._ticket)
        self._policy.traffic.end(self._ticket, self._policy.engine.now)
        self._learn(outcome)
        self._journey.ended(self, outcome)

    def _learn(self, outcome: Outcome) -> None:
        self._policy.knowledge.learn(
            AttemptCompleted(
                target=self.target,
                outcome=outcome,
                started_at=self.started_at,
                at=self._policy.engine.now,
                in_flight=self._departure.in_flight,
                idle_s=self._departure.idle_s,
                began=self._first_s is not None,
                max_tokens=self._journey.request.max_tokens,
                workload="benchmark",
                ordinal=self._held.ordinal,
                tokens_sent=self._held.tokens_sent,
            )
        )

    def _stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


def _scored(choice: Choice) -> Candidate | None:
    """Return the candidate that was chosen."""
    for candidate in choice.candidates:
        if candidate.target == choice.chosen:
            return candidate
    return None
