"""The registry: the actor that owns what is known of each target, and publishes it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final, Protocol, assert_never

import anyio
from msgspec.structs import replace

from state.faults import Scope
from state.health import begin, drain, fold, resume, tick
from state.hearing import begun, spared
from state.history.rows import EstimateRow, OperationRow, RecorderMessage
from state.latency.belief import Belief
from state.latency.lengths import Lengths, after_length
from state.mailbox import Address, Mailbox
from state.messages import (
    AnswerBegan,
    AttemptCompleted,
    AttemptSpared,
    DrainRequested,
    HealthPublished,
    PageRead,
    ProbeCompleted,
    RegistryMessage,
    ResumeRequested,
    TargetsReplaced,
)
from state.neighbours import hear
from state.noting import drain_row, probe_row, transition_row
from state.observation import lifted
from state.outcome import Work
from state.pages import PageReport
from state.policy import HealthPolicy
from state.recall import recall
from state.record import Evidence, Record, is_surface, next_wake, view
from state.remembered import Remembered
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName, provider_of
from state.telling import say_drain_over, say_drained, say_dropped, say_resumed, say_standing

__all__ = ["BELIEFS_S", "HealthListener", "Registry"]

BELIEFS_S: Final = 5.0
"""Seconds between two times at which what is believed of a target is written down."""


class HealthListener(Protocol):
    """Whoever reads the snapshots; any address whose mailbox takes HealthPublished is one."""

    def post(self, message: HealthPublished, /) -> bool:
        """Leave the newest picture, without waiting."""
        ...


class Registry:
    """Folds evidence into one record per target, and publishes a snapshot after each batch that changed something."""

    def __init__(
        self,
        mailbox: Mailbox[RegistryMessage],
        dispatcher: HealthListener,
        recorder: Address[RecorderMessage],
        targets: Mapping[TargetName, HealthPolicy],
        remembered: Mapping[TargetName, Remembered],
    ) -> None:
        """Know `targets` and what a restart remembers of them; `run` brings it to life."""
        self._mailbox = mailbox
        self._dispatcher = dispatcher
        self._recorder = recorder
        self._policies = dict(targets)
        self._remembered = remembered
        self._records: dict[TargetName, Record] = {}
        self._wakes: dict[TargetName, float] = {}
        self._views: dict[TargetName, TargetHealth] = {}
        self._revision = 0
        self._lengths: dict[str, Lengths] = {}
        self._pages: dict[str, PageReport] = {}
        """By provider, what its status page said last."""
        self._unwritten: dict[TargetName, float] = {}
        """Targets of which something is believed that is not written down, and when it will be."""
        self._alarmed: dict[str, float] = {}
        """When a fault at one target of a provider was last told to the others, where no success has been since."""

    async def run(self) -> None:
        """Read the mailbox for ever. Only a bug ends it."""
        now = anyio.current_time()
        for target, policy in self._policies.items():
            self._meet(target, policy, now)
        self._refresh(self._records, now)
        self._publish(now)
        while True:
            with anyio.CancelScope(deadline=min([*self._wakes.values(), *self._unwritten.values()], default=math.inf)):
                await self._mailbox.arrival()
            self._turn(self._mailbox.take_all(), anyio.current_time())

    def _turn(self, messages: list[RegistryMessage], now: float) -> None:
        """Take in a batch of messages and the passing of time, then publish at most once."""
        if dropped := self._mailbox.take_dropped():
            say_dropped(dropped)
        held = len(self._views)
        touched = [target for message in messages for target in self._receive(message, now)]
        due = [target for target, wake in self._wakes.items() if wake <= now]
        for target in due:
            self._elapse(target, now)
        self._write_beliefs(now)
        if self._refresh(dict.fromkeys(touched + due), now) or len(self._views) != held:
            self._publish(now)

    def _receive(self, message: RegistryMessage, now: float) -> tuple[TargetName, ...]:
        """Take in one message; return the targets whose record it changed."""
        match message:
            case AttemptCompleted():
                self._learn(message)
                self._measure(message)
                return (message.target, *self._spread(message))
            case AnswerBegan() | AttemptSpared():
                self._count(message)
            case ProbeCompleted():
                self._recorder.post(probe_row(message))
                self._learn(message)
                if message.outcome.fault is None and not is_surface(message):
                    return (message.target, *self._spread(message))
            case DrainRequested():
                self._drain(message, now)
            case ResumeRequested():
                self._resume(message, now)
            case PageRead():
                return self._spread_page(message)
            case TargetsReplaced():
                return self._replace(message.targets, now)
            case _ as unreachable:
                assert_never(unreachable)
        return (message.target,)

    def _meet(self, target: TargetName, policy: HealthPolicy, now: float) -> None:
        """Start a record, from what is remembered of the target where something is."""
        past = self._remembered.get(target)
        if past is None:
            self._keep(target, Record(target=target, since=now, page=self._pages.get(provider_of(target))))
            return
        record = replace(recall(past, policy, now), page=self._pages.get(provider_of(target)))
        self._keep(target, record)
        self._note(record, past.standing)
        if past.drained and not record.drained:
            self._note_expiry(target, now)

    def _learn(self, evidence: Evidence) -> None:
        """Fold evidence, and record what standing the target took by it; targets that are gone teach nothing."""
        if evidence.target not in self._records:
            return
        self._elapse(evidence.target, evidence.at)
        before = self._records[evidence.target]
        record = fold(before, evidence, self._policies[evidence.target])
        self._keep(evidence.target, record)
        self._note(record, before.standing)

    def _count(self, message: AnswerBegan | AttemptSpared) -> None:
        if (record := self._records.get(message.target)) is None:
            return
        if isinstance(message, AttemptSpared):
            after = spared(record, message)
        else:
            after = begin(begun(record, message), message, self._policies[message.target])
        self._keep(message.target, after)
        self._note(after, record.standing)

    def _measure(self, evidence: AttemptCompleted) -> None:
        """Learn how long the answers of a workload are."""
        if evidence.work is Work.GENERATE and evidence.outcome.tokens and evidence.outcome.fault is None:
            known = self._lengths.get(evidence.workload, Lengths())
            self._lengths[evidence.workload] = after_length(known, evidence.outcome.tokens, evidence.max_tokens)

    def _spread(self, evidence: Evidence) -> tuple[TargetName, ...]:
        """Let the provider's other targets hear of what concerns them too; return those that may have changed."""
        provider = provider_of(evidence.target)
        if evidence.outcome.scope is not Scope.TARGET:
            self._alarmed[provider] = evidence.at
        elif evidence.outcome.fault is None and provider in self._alarmed:
            if evidence.started_at >= self._alarmed[provider] and not is_surface(evidence):
                del self._alarmed[provider]
        else:
            return ()
        others = tuple(
            target for target in self._records if target != evidence.target and provider_of(target) == provider
        )
        for target in others:
            self._elapse(target, evidence.at)
            before = self._records[target]
            record = hear(before, evidence, self._policies[target])
            self._keep(target, record)
            self._note(record, before.standing)
        return others

    def _spread_page(self, message: PageRead) -> tuple[TargetName, ...]:
        """Let all targets of a provider know what its status page says, now and when they are met later."""
        self._pages.pop(message.provider, None)
        if message.at > -math.inf:
            self._pages[message.provider] = PageReport(message.level, message.text, message.at)
        page = self._pages.get(message.provider)
        targets = tuple(target for target in self._records if provider_of(target) == message.provider)
        for target in targets:
            self._keep(target, replace(self._records[target], page=page))
        return targets

    def _elapse(self, target: TargetName, now: float) -> None:
        """Let time pass for one target."""
        before = self._records[target]
        record = tick(before, self._policies[target], now)
        if record is before:
            return
        self._keep(target, record)
        self._note(record, before.standing)
        if before.drained and not record.drained:
            self._note_expiry(target, now)

    def _drain(self, message: DrainRequested, now: float) -> None:
        record = self._records.get(message.target)
        if record is not None:
            self._keep(message.target, drain(record, message.until, message.reason))
            self._recorder.post(drain_row(message, now))
            say_drained(message, now)
        message.reply.send(record is not None)

    def _resume(self, message: ResumeRequested, now: float) -> None:
        record = self._records.get(message.target)
        if record is not None:
            self._keep(message.target, resume(record))
            self._recorder.post(OperationRow(at=now, verb="resume", target=message.target, by=message.by))
            say_resumed(message)
        message.reply.send(record is not None)

    def _replace(self, targets: Mapping[TargetName, HealthPolicy], now: float) -> tuple[TargetName, ...]:
        """Keep the records of the targets that stay, forget the others, start the new ones afresh."""
        self._policies = dict(targets)
        self._remembered = {}
        for target in self._records.keys() - targets.keys():
            del self._records[target], self._wakes[target]
            self._views.pop(target, None)
        for target, record in self._records.items():
            self._keep(target, lifted(record, now))
        new = tuple(target for target in targets if target not in self._records)
        for target in new:
            self._meet(target, targets[target], now)
        return tuple(self._records)

    def _write_beliefs(self, now: float) -> None:
        """Write down what is believed of the targets whose time it is: a restart goes on from there."""
        for target in [target for target, due in self._unwritten.items() if due <= now]:
            del self._unwritten[target]
            if (record := self._records.get(target)) is not None:
                belief = Belief(estimator=record.estimator, reliability=record.reliability, at=now)
                self._recorder.post(EstimateRow(at=now, target=target, belief=belief))

    def _keep(self, target: TargetName, record: Record) -> None:
        before = self._records.get(target)
        if before is not None and before.estimator is not record.estimator:
            self._unwritten.setdefault(target, record.seen_at + BELIEFS_S)
        self._records[target] = record
        self._wakes[target] = next_wake(record)

    def _refresh(self, targets: Iterable[TargetName], now: float) -> bool:
        """Look at the records of `targets` anew; return whether anyone can see a difference."""
        changed = False
        for target in targets:
            if target not in self._records:
                continue
            seen = view(self._records[target], now, self._policies[target].estimator)
            if seen != self._views.get(target):
                self._views[target] = seen
                changed = True
        return changed

    def _publish(self, now: float) -> None:
        self._revision += 1
        snapshot = HealthSnapshot(
            revision=self._revision, at=now, targets=dict(self._views), lengths=dict(self._lengths)
        )
        self._dispatcher.post(HealthPublished(snapshot=snapshot))

    def _note(self, record: Record, before: Standing) -> None:
        """Record and log a change of standing, where there was one."""
        if record.standing is before:
            return
        row = transition_row(record, before)
        self._recorder.post(row)
        say_standing(row)

    def _note_expiry(self, target: TargetName, now: float) -> None:
        """Record that a drain ended by itself."""
        self._recorder.post(OperationRow(at=now, verb="resume", target=target, by="fairlead", reason="drain expired"))
        say_drain_over(target)
