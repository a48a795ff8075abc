"""What the registry would have known by other health policies: the recorded evidence, folded by its own functions."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec.structs import replace

from state.blocks import NO_BLOCK
from state.faults import Fault, Scope
from state.health import begin, drain, fold, resume, tick
from state.latency.lengths import Lengths, after_length
from state.messages import AnswerBegan, AttemptCompleted
from state.neighbours import hear
from state.policy import HealthPolicy
from state.record import Evidence, Record, next_wake, view
from state.standing import HealthSnapshot, TargetHealth
from state.targets import TargetName, provider_of

__all__ = ["Knowledge"]


class Knowledge:
    """One record for each target of the configuration, and the newest picture of them. Others teach nothing."""

    def __init__(self, policies: Mapping[TargetName, HealthPolicy]) -> None:
        """Know nothing of the targets yet."""
        self._policies = policies
        self._records = {target: Record(target=target) for target in policies}
        self._wakes = dict.fromkeys(policies, math.inf)
        self._views: dict[TargetName, TargetHealth] = {}
        self._stale = set(policies)
        self._lengths: dict[str, Lengths] = {}
        self._alarmed: set[str] = set()
        """Providers of which a fault at one target was told to the others, and no success since."""
        self._newest = HealthSnapshot()

    def learn(self, evidence: Evidence) -> None:
        """Fold a piece of evidence, and let the provider's other targets hear of what concerns them too."""
        record = self._records.get(evidence.target)
        if record is None:
            return
        policy = self._policies[evidence.target]
        self._keep(fold(tick(record, policy, evidence.at), evidence, policy))
        if isinstance(evidence, AttemptCompleted):
            self._measure(evidence)
            self._spread(evidence)

    def begun(self, seen: AnswerBegan) -> None:
        """Fold a first token."""
        if (record := self._records.get(seen.target)) is not None:
            self._keep(begin(record, seen, self._policies[seen.target]))

    def drained(self, target: TargetName, until: float | None, reason: str) -> None:
        """Take an operator's drain into account; `until` is None where only `resume` ends it."""
        if (record := self._records.get(target)) is not None:
            self._keep(drain(record, until, reason))

    def resumed(self, target: TargetName) -> None:
        """Take an operator's resume into account."""
        if (record := self._records.get(target)) is not None:
            self._keep(resume(record))

    def reloaded(self) -> None:
        """Forget refusals and spent quotas, as the registry does when a configuration comes into force."""
        for record in list(self._records.values()):
            block = NO_BLOCK if record.block.fault is Fault.QUOTA else record.block
            self._keep(replace(record, refusal=NO_BLOCK, block=block))

    def snapshot(self, now: float) -> HealthSnapshot:
        """Return the picture at `now`."""
        for target, wake in self._wakes.items():
            if wake <= now:
                self._keep(tick(self._records[target], self._policies[target], now))
        if self._stale:
            for target in self._stale:
                self._views[target] = view(self._records[target], now, self._policies[target].estimator)
            self._stale.clear()
            self._newest = HealthSnapshot(at=now, targets=self._views, lengths=self._lengths)
        return self._newest

    def _measure(self, evidence: AttemptCompleted) -> None:
        if evidence.outcome.tokens and evidence.outcome.fault is None:
            known = self._lengths.get(evidence.workload, Lengths())
            self._lengths[evidence.workload] = after_length(known, evidence.outcome.tokens, evidence.max_tokens)

    def _spread(self, evidence: AttemptCompleted) -> None:
        provider = provider_of(evidence.target)
        if evidence.outcome.scope is not Scope.TARGET:
            self._alarmed.add(provider)
        elif evidence.outcome.fault is None and provider in self._alarmed:
            self._alarmed.discard(provider)
        else:
            return
        for target, record in list(self._records.items()):
            if target != evidence.target and provider_of(target) == provider:
                policy = self._policies[target]
                self._keep(hear(tick(record, policy, evidence.at), evidence, policy))

    def _keep(self, record: Record) -> None:
        if self._records[record.target] is not record:
            self._records[record.target] = record
            self._wakes[record.target] = next_wake(record)
            self._stale.add(record.target)
