"""What the registry would know: one record for each target, folded by the same functions."""

from __future__ import annotations

from collections.abc import Iterable

from state.durations import Seconds
from state.health import begin, fold, tick
from state.latency.lengths import Lengths, after_length
from state.messages import AnswerBegan, AttemptCompleted
from state.policy import HealthPolicy
from state.record import Evidence, Record, next_wake, view
from state.standing import HealthSnapshot, TargetHealth
from state.targets import TargetName

__all__ = ["Knowledge"]

_POLICY = HealthPolicy(vouch=Seconds(15))


class Knowledge:
    """The records, and the newest picture of them."""

    def __init__(self, targets: Iterable[TargetName]) -> None:
        """Know nothing of `targets`."""
        self._records = {target: Record(target=target) for target in targets}
        self._views = {target: view(record, 0.0, _POLICY.estimator) for target, record in self._records.items()}
        self._lengths = Lengths()
        self._newest: HealthSnapshot | None = None

    def learn(self, evidence: Evidence) -> None:
        """Fold a piece of evidence."""
        record = fold(tick(self._records[evidence.target], _POLICY, evidence.at), evidence, _POLICY)
        self._keep(record, evidence.at)
        if isinstance(evidence, AttemptCompleted) and evidence.outcome.fault is None and evidence.outcome.tokens:
            self._lengths = after_length(self._lengths, evidence.outcome.tokens, evidence.max_tokens)

    def begun(self, seen: AnswerBegan) -> None:
        """Fold a first token."""
        self._keep(begin(self._records[seen.target], seen, _POLICY), seen.at)

    def health(self, target: TargetName) -> TargetHealth:
        """Return what is known of one target."""
        return self._views[target]

    def snapshot(self, now: float) -> HealthSnapshot:
        """Return the picture at `now`."""
        for record in self._records.values():
            if next_wake(record) <= now:
                self._keep(tick(record, _POLICY, now), now)
        if self._newest is None:
            self._newest = HealthSnapshot(at=now, targets=dict(self._views), lengths={"benchmark": self._lengths})
        return self._newest

    def _keep(self, record: Record, now: float) -> None:
        self._records[record.target] = record
        self._views[record.target] = view(record, now, _POLICY.estimator)
        self._newest = None
