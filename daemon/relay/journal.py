"""What is written down of one request: rows for the history, counts for the metrics, a line for each fallback."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from daemon.alerts.alarm import Alarm
from daemon.faces.telling import say_unanswered
from daemon.limits.till import Tab
from daemon.metrics import Metrics
from daemon.relay.bill import Bill
from daemon.relay.calls import ClientCall
from daemon.relay.headers import Story
from daemon.routing.leases import Choice, Lease
from state.faults import Blame, Fault
from state.history.rows import AttemptRow, DecisionRow, FallbackRow, RecorderMessage, RequestRow
from state.mailbox import Address
from state.messages import AnswerBegan, AttemptCompleted, AttemptSpared, RegistryMessage
from state.outcome import Outcome, Usage
from state.targets import TargetName

__all__ = ["Ending", "Journal", "Lane", "Told", "Witnesses"]

_log = structlog.get_logger("fairlead.relay")
_ENCODER = msgspec.json.Encoder()
Told = tuple[TargetName | None, str, str | None]
"""What a story says of a fallback: from where, why, and how the answer is degraded by it."""
_ENDED_EARLY = frozenset({Fault.CANCELLED, Fault.CUT})
"""What the registry is told even where the caller ended it: it was sent, and its head may have told of limits."""


class Witnesses(msgspec.Struct, frozen=True):
    """Who is told what happens to requests."""

    registry: Address[RegistryMessage]
    recorder: Address[RecorderMessage]
    metrics: Metrics
    alarm: Alarm
    clock: Callable[[], float]
    code: str | None = None
    """Which code makes the choices."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a request ended."""

    outcome: str
    """`ok`, `cancelled`, `cut`, `failed` or `refused`."""
    status: int
    last: Outcome | None = None
    usage: Usage = Usage()


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """What is particular to an attempt that raced another."""

    number: int
    """Which attempt of the request it was, from 1: it may end after a later one."""
    hedge: bool
    """Whether it was the second, sent because the first said nothing."""


class Journal:
    """Writes down one request as it goes."""

    def __init__(self, call: ClientCall, witnesses: Witnesses, bill: Bill) -> None:
        """Begin the story of `call`, with nothing on its `bill`."""
        self._call = call
        self._witnesses = witnesses
        self.bill = bill
        self.tab: Tab | None = None
        """Where the request pays, once it is let in."""
        self.story = Story()
        self.row: RequestRow | None = None
        """What is written down of its end."""
        self.label: str | None = None
        """What routing took the request for."""
        self._primary: TargetName | None = None
        self._begun: set[int] = set()
        self._failed_at: TargetName | None = None
        """Where it fell back from first, escalations apart."""

    @property
    def over(self) -> bool:
        """Whether its end is written down."""
        return self.row is not None

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
            strategy=str(choice.strategy),
            reason=choice.reason,
            candidates=_ENCODER.encode(choice.candidates),
            seed=choice.seed,
            setting=choice.setting,
            code=self._witnesses.code,
        )
        self._witnesses.recorder.post(row)

    def began(self, lease: Lease, outcome: Outcome) -> None:
        """Note the first token of a stream, and what its head told of limits: evidence long before its end."""
        now, departure = self._witnesses.clock(), lease.departure
        self._begun.add(lease.ticket)
        seen = AnswerBegan(
            target=lease.target,
            first_s=outcome.latency_s,
            started_at=now - outcome.latency_s,
            at=now,
            in_flight=departure.in_flight,
            idle_s=departure.idle_s,
            headroom=outcome.headroom,
            ordinal=lease.ordinal,
            tokens_sent=lease.tokens_sent,
        )
        self._witnesses.registry.post(seen)

    def attempted(self, lease: Lease, outcome: Outcome, lane: Lane | None = None) -> None:
        """Note how an attempt ended: evidence for the registry, a row, a count. `lane` is of those that raced."""
        now, target, departure = self._witnesses.clock(), lease.target, lease.departure
        if lane is None:
            self.story.upstream_s += outcome.latency_s
        if outcome.counts or outcome.fault in _ENDED_EARLY:
            evidence = AttemptCompleted(
                target=target,
                outcome=outcome,
                started_at=now - outcome.latency_s,
                at=now,
                in_flight=departure.in_flight,
                idle_s=departure.idle_s,
                began=lease.ticket in self._begun,
                max_tokens=self._call.max_tokens,
                workload="" if self._call.charged.purpose == "shadow" else self._call.workload.name,
                guessed_tokens=departure.answer_tokens,
                ordinal=lease.ordinal,
                tokens_sent=lease.tokens_sent,
                work=self._call.surface.work,
            )
            self._witnesses.registry.post(evidence)
        elif outcome.blame is Blame.OURSELVES and lease.ordinal and not outcome.latency_s:  # it was never sent
            self._witnesses.registry.post(AttemptSpared(target=target, ordinal=lease.ordinal, tokens=lease.tokens))
        cost = self.bill.charge(target, outcome)
        if self.tab is not None:
            self.tab.settle(lease.ticket, cost.usd)
        row = AttemptRow(
            at=now,
            request_id=self._call.request_id,
            number=lane.number if lane else self.story.attempts,
            target=target,
            outcome=outcome,
            hedge=lane is not None and lane.hedge,
            charged=self._call.charged,
            cost_usd=cost.usd,
            cost_estimated=cost.estimated,
        )
        self._witnesses.recorder.post(row)
        self._witnesses.metrics.attempted(target, outcome)
        self._witnesses.metrics.charged(target, outcome.usage, cost.usd)
        self._witnesses.alarm.attempted(target, outcome)

    @property
    def told(self) -> Told:
        """What the story says of a fallback so far."""
        return self.story.fallback_from, self.story.fallback_reason, self.story.degraded

    def fell_back(self, origin: TargetName, onto: TargetName, why: Outcome) -> None:
        """Note a step from a target that failed, or was passed over, to the next: never silently."""
        self._failed_at = self._failed_at or origin
        if self._call.workload.notify_user:
            self.story.degraded = "fallback"
        row = self._stepped(origin, onto, why)
        self._witnesses.metrics.fell_back(row)
        _log.warning("fallback", **self._logged(row))

    def escalated(self, origin: TargetName, onto: TargetName, why: Outcome) -> None:
        """Note a step from an answer that does not do to a stronger target; a fault makes it a fallback as well."""
        self.story.escalated += 1
        why = msgspec.structs.replace(why, reason=f"escalated: {why.reason}")
        self._witnesses.metrics.escalated(self._call.workload.name, origin, onto)
        if why.fault is not None:
            self.fell_back(origin, onto, why)
        else:
            _log.info("escalation", **self._logged(self._stepped(origin, onto, why)))

    def _stepped(self, origin: TargetName, onto: TargetName, why: Outcome) -> FallbackRow:
        call, story = self._call, self.story
        if story.fallback_from is None:
            story.fallback_from = origin
            story.fallback_reason = f"{why.fault.value}: {why.reason}" if why.fault else why.reason
        row = FallbackRow(
            at=self._witnesses.clock(),
            request_id=call.request_id,
            workload=call.workload.name,
            from_target=origin,
            to_target=onto,
            fault=why.fault,
            status=why.status,
            reason=why.reason,
            after_s=self._witnesses.clock() - call.arrived_at,
            cost_usd=self.bill.spent_at(origin),
        )
        self._witnesses.recorder.post(row)
        return row

    def _logged(self, row: FallbackRow) -> dict[str, object]:
        return {
            "request_id": row.request_id,
            "workload": row.workload,
            "primary": self._primary,
            "from_target": row.from_target,
            "fallback": row.to_target,
            "fault": row.fault,
            "status": row.status,
            "reason": row.reason,
            "latency_ms": round(row.after_s * 1e3, 1),
        }

    def hedged(self, lease: Lease) -> None:
        """Note that a second target is asked beside the first; until it wins it has lost."""
        self.story.attempts += 1
        self.story.hedged = "lost"
        self.decided(lease.choice, self.story.attempts)

    def not_hedged(self) -> None:
        """Note that a second target was wanted and refused."""
        self._witnesses.metrics.hedged(self._call.workload.name, "refused")

    def raced(self, first: TargetName, second: TargetName | None, took_s: float) -> None:
        """Note the end of a race that took `took_s` seconds; without a second it was none."""
        self.story.upstream_s += took_s
        if second is None or self.story.hedged is None:
            return
        workload = self._call.workload.name
        self._witnesses.metrics.hedged(workload, self.story.hedged)
        _log.info(
            "hedge",
            request_id=self._call.request_id,
            workload=workload,
            target=first,
            hedge=second,
            hedged=self.story.hedged,
            latency_ms=round(took_s * 1e3, 1),
        )

    def came_back(self, target: TargetName, told: Told) -> None:
        """Note that the answer given is, after all, the earlier one of `target`, of which was `told` so much."""
        self.story.target = target
        self.story.fallback_from, self.story.fallback_reason, self.story.degraded = told

    def ended(self, ending: Ending) -> None:
        """Note the end of the request: its one row."""
        call, story = self._call, self.story
        latency_s = self._witnesses.clock() - call.arrived_at
        row = self.row = RequestRow(
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
            cost_usd=self.bill.total_usd,
            best_usd=self.bill.costliest_usd(call.workload.targets, ending.usage),
            team=call.charged.team or None,
            user=call.charged.user or None,
            purpose=call.charged.purpose,
            label=self.label,
        )
        self._witnesses.recorder.post(row)
        say_unanswered(row)
        self._witnesses.alarm.ended(row, self._failed_at if story.fallback_from else None)
        self._witnesses.metrics.ended(row, max(0.0, latency_s - story.queue_s - story.upstream_s))
