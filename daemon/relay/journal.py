"""What is written down of one request: rows for the history, counts for the metrics, a line for each fallback."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from daemon.alerts.alarm import Alarm
from daemon.metrics import Metrics
from daemon.relay.calls import ClientCall
from daemon.relay.headers import Story
from daemon.routing.leases import Choice, Lease
from state.faults import Fault
from state.history.rows import AttemptRow, DecisionRow, FallbackRow, RecorderMessage, RequestRow
from state.mailbox import Address
from state.messages import AnswerBegan, AttemptCompleted, RegistryMessage
from state.outcome import Outcome, Usage
from state.targets import TargetName

__all__ = ["Ending", "Journal", "Witnesses"]

_log = structlog.get_logger("fairlead.relay")
_ENCODER = msgspec.json.Encoder()


class Witnesses(msgspec.Struct, frozen=True):
    """Who is told what happens to requests."""

    registry: Address[RegistryMessage]
    recorder: Address[RecorderMessage]
    metrics: Metrics
    alarm: Alarm
    clock: Callable[[], float]


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a request ended."""

    outcome: str
    """`ok`, `cancelled`, `cut`, `failed` or `refused`."""
    status: int
    last: Outcome | None = None
    usage: Usage = Usage()


class Journal:
    """Writes down one request as it goes."""

    def __init__(self, call: ClientCall, witnesses: Witnesses) -> None:
        """Begin the story of `call`."""
        self._call = call
        self._witnesses = witnesses
        self.story = Story()
        self._primary: TargetName | None = None
        self._begun: set[int] = set()

    def now(self) -> float:
        """Return the time that it writes down, in monotonic seconds."""
        return self._witnesses.clock()

    def decided(self, choice: Choice, number: int) -> None:
        """Note a choice of the dispatcher."""
        if number == 1:
            self._primary = choice.primary
        row = DecisionRow(
            at=self._witnesses.clock(),
            request_id=self._call.request_id,
            number=number,
            chosen=choice.chosen,
            strategy=choice.strategy.value,
            reason=choice.reason,
            candidates=_ENCODER.encode(choice.candidates),
            seed=choice.seed,
        )
        self._witnesses.recorder.post(row)

    def began(self, lease: Lease, first_s: float) -> None:
        """Note the first token of a stream, `first_s` seconds after it was asked for: evidence long before its end."""
        now, departure = self._witnesses.clock(), lease.departure
        self._begun.add(lease.ticket)
        seen = AnswerBegan(
            target=lease.target,
            first_s=first_s,
            started_at=now - first_s,
            at=now,
            in_flight=departure.in_flight,
            idle_s=departure.idle_s,
        )
        self._witnesses.registry.post(seen)

    def attempted(self, lease: Lease, outcome: Outcome) -> None:
        """Note how an attempt ended: evidence for the registry, a row, a count."""
        now, target = self._witnesses.clock(), lease.target
        self.story.upstream_s += outcome.latency_s
        if outcome.counts or outcome.fault is Fault.CANCELLED:
            evidence = AttemptCompleted(
                target=target,
                outcome=outcome,
                started_at=now - outcome.latency_s,
                at=now,
                in_flight=lease.departure.in_flight,
                idle_s=lease.departure.idle_s,
                began=lease.ticket in self._begun,
                max_tokens=self._call.max_tokens,
                workload=self._call.workload.name,
                work=self._call.surface.work,
            )
            self._witnesses.registry.post(evidence)
        row = AttemptRow(
            at=now, request_id=self._call.request_id, number=self.story.attempts, target=target, outcome=outcome
        )
        self._witnesses.recorder.post(row)
        self._witnesses.metrics.attempted(target, outcome)
        self._witnesses.alarm.attempted(target, outcome)

    def fell_back(self, origin: TargetName, onto: TargetName, why: Outcome) -> None:
        """Note a step from a target that failed, or was passed over, to the next: never silently."""
        call, story = self._call, self.story
        after_s = self._witnesses.clock() - call.arrived_at
        if story.fallback_from is None:
            story.fallback_from = origin
            story.fallback_reason = f"{why.fault.value}: {why.reason}" if why.fault else why.reason
        if call.workload.notify_user:
            story.degraded = "fallback"
        row = FallbackRow(
            at=self._witnesses.clock(),
            request_id=call.request_id,
            workload=call.workload.name,
            from_target=origin,
            to_target=onto,
            fault=why.fault,
            status=why.status,
            reason=why.reason,
            after_s=after_s,
        )
        self._witnesses.recorder.post(row)
        self._witnesses.metrics.fell_back(row)
        _log.warning(
            "fallback",
            request_id=call.request_id,
            workload=call.workload.name,
            primary=self._primary,
            from_target=origin,
            fallback=onto,
            fault=why.fault,
            status=why.status,
            reason=why.reason,
            latency_ms=round(after_s * 1e3, 1),
        )

    def came_back(self, target: TargetName) -> None:
        """Note that the answer given is, after all, the earlier one of `target`."""
        self.story.target = target

    def ended(self, ending: Ending) -> None:
        """Note the end of the request: its one row."""
        call, story = self._call, self.story
        latency_s = self._witnesses.clock() - call.arrived_at
        row = RequestRow(
            at=call.arrived_at,
            request_id=call.request_id,
            workload=call.workload.name,
            primary_target=self._primary,
            served_by=story.target if ending.outcome in {"ok", "cut"} else None,
            attempts=story.attempts,
            outcome=ending.outcome,
            fault=ending.last.fault if ending.last else None,
            status=ending.status,
            degraded=story.degraded,
            first_byte_s=story.first_byte_s,
            latency_s=latency_s,
            usage=ending.usage,
            streamed=call.streamed,
            client_retry=call.client_retry,
        )
        self._witnesses.recorder.post(row)
        self._witnesses.alarm.ended(row, story.fallback_from)
        self._witnesses.metrics.ended(row, max(0.0, latency_s - story.queue_s - story.upstream_s))
