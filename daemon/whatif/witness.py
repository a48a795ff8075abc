"""The recorded evidence, told to the records as it was told to the registry: first tokens, ends, probes, operations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count

from daemon.routing.leases import Choice, Departure, RouteQuery
from daemon.routing.policy import Strategy, Workload
from daemon.routing.traffic import Traffic
from daemon.whatif.knowledge import Knowledge
from probes.surfaces import Surface
from state.faults import Blame, Fault
from state.history.journeys import RecordedAttempt, RecordedOperation, RecordedProbe, RecordedRequest
from state.messages import AnswerBegan, AttemptCompleted, ProbeCompleted
from state.outcome import Outcome, ProbeKind
from state.standing import TargetHealth
from state.targets import TargetName

__all__ = ["Witness"]

_Schedule = Callable[[float, Callable[[float], object]], None]


class Witness:
    """Tells what happened, each thing at its time."""

    def __init__(self, knowledge: Knowledge, at: _Schedule) -> None:
        """Tell `knowledge`; `at` lets something happen later."""
        self._knowledge = knowledge
        self._at = at
        self._traffic = Traffic()
        self._tickets = count(1)

    def meet(self, request: RecordedRequest) -> None:
        """Let the attempts of a request happen that arrives now."""
        for attempt in request.attempts:
            served = attempt is request.attempts[-1] and attempt.fault is None
            tokens = request.completion_tokens if served else None
            outcome = _outcome_of(attempt, tokens)
            self._at(attempt.at_ms / 1e3 - outcome.latency_s, partial(self._start, request, attempt, outcome))

    def reported(self, attempt: RecordedAttempt) -> None:
        """Take in a call that a caller made and told of."""
        at, outcome = attempt.at_ms / 1e3, _outcome_of(attempt, None)
        target = TargetName(attempt.target)
        self._knowledge.learn(
            AttemptCompleted(target=target, outcome=outcome, started_at=at - outcome.latency_s, at=at)
        )

    def probed(self, probe: RecordedProbe) -> None:
        """Take in a probe that ended now."""
        at, outcome = probe.at_ms / 1e3, _outcome_of(probe, None)
        self._knowledge.learn(
            ProbeCompleted(
                target=TargetName(probe.target),
                kind=ProbeKind(probe.kind),
                outcome=outcome,
                started_at=at - outcome.latency_s,
                at=at,
            )
        )

    def operated(self, operation: RecordedOperation, now: float) -> None:
        """Take in what an operator did."""
        target = TargetName(operation.target or "")
        until = None if operation.until_ms is None else operation.until_ms / 1e3
        match operation.verb:
            case "drain" if until is None or until > now:
                self._knowledge.drained(target, until, operation.reason)
            case "resume":
                self._knowledge.resumed(target)
            case "reload":
                self._knowledge.reloaded()
            case _:
                pass

    def _start(self, request: RecordedRequest, attempt: RecordedAttempt, outcome: Outcome, now: float) -> None:
        ticket, target = next(self._tickets), TargetName(attempt.target)
        choice = Choice(chosen=target, strategy=Strategy.PRIORITY, reason="", candidates=(), seed=0)
        alone = Workload(name=request.workload, targets=(target,))
        query = RouteQuery(request_id="", workload=alone, surface=Surface.CHAT, streamed=outcome.streamed)
        _, departure = self._traffic.depart(ticket, choice, query, TargetHealth(target=target), now)
        began = outcome.streamed and outcome.first_byte_s is not None
        if began:
            self._at(now + (outcome.first_byte_s or 0.0), partial(self._begin, attempt, outcome, departure))
        completed = AttemptCompleted(
            target=target,
            outcome=outcome,
            started_at=attempt.at_ms / 1e3 - outcome.latency_s,
            at=attempt.at_ms / 1e3,
            in_flight=departure.in_flight,
            idle_s=departure.idle_s,
            began=began,
            workload=request.workload,
        )
        self._at(completed.at, partial(self._end, ticket, completed))

    def _begin(self, attempt: RecordedAttempt, outcome: Outcome, departure: Departure, now: float) -> None:
        self._knowledge.begun(
            AnswerBegan(
                target=TargetName(attempt.target),
                first_s=outcome.first_byte_s or 0.0,
                started_at=attempt.at_ms / 1e3 - outcome.latency_s,
                at=now,
                in_flight=departure.in_flight,
                idle_s=departure.idle_s,
            )
        )

    def _end(self, ticket: int, completed: AttemptCompleted, now: float) -> None:
        self._traffic.answered(ticket)  # who was silent matters to nobody here, and is not to be kept
        self._traffic.end(ticket, now)
        self._knowledge.learn(completed)


def _outcome_of(row: RecordedAttempt | RecordedProbe, tokens: int | None) -> Outcome:
    attempt = row if isinstance(row, RecordedAttempt) else None
    return Outcome(
        fault=None if row.fault is None else Fault(row.fault),
        status=row.status,
        first_byte_s=_seconds(row.first_byte_ms),
        latency_s=row.latency_ms / 1e3,
        retry_after_s=_seconds(row.retry_after_ms),
        streamed=attempt is not None and bool(attempt.streamed),
        tokens=tokens,
        at_fault=None if attempt is None or attempt.blame is None else Blame(attempt.blame),
    )


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1e3
