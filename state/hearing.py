"""What a target's answers tell of its limits, as it enters the record: whatever they mean for the standing."""

from __future__ import annotations

from msgspec.structs import replace

from state.faults import Fault
from state.messages import AnswerBegan, AttemptCompleted, AttemptSpared
from state.outcome import Outcome
from state.quota import Headroom, Quota
from state.record import Evidence, Record

__all__ = ["begun", "heard", "spared"]

_NOTHING = Quota()


def heard(record: Record, evidence: Evidence) -> Record:
    """Return the record once an attempt that was counted has told of limits, or has not."""
    if not isinstance(evidence, AttemptCompleted) or not evidence.ordinal:
        return record
    outcome = evidence.outcome
    if outcome.headroom is not None:
        quota = (record.quota or _NOTHING).after(
            _believed(outcome, outcome.headroom),
            evidence.ordinal,
            evidence.at - outcome.headroom.age_s,
            evidence.tokens_sent,
        )
    elif record.quota is None:
        return record
    elif outcome.succeeded:
        quota = record.quota.forgotten(evidence.ordinal, evidence.started_at)
    else:
        quota = record.quota.missed(evidence.ordinal, evidence.tokens_sent)
    return record if quota == record.quota else replace(record, quota=None if quota == _NOTHING else quota)


def begun(record: Record, answer: AnswerBegan) -> Record:
    """Return the record once a stream has begun: there is room, and its head may have told how much."""
    quota = record.quota
    if answer.headroom is not None:
        at = answer.at - answer.headroom.age_s
        quota = (quota or _NOTHING).after(answer.headroom, answer.ordinal, at, answer.tokens_sent)
    return replace(record, quota=quota)


def spared(record: Record, attempt: AttemptSpared) -> Record:
    """Return the record once an attempt that was counted turns out never to have been sent."""
    if record.quota is None:
        return record
    return replace(record, quota=record.quota.spared(attempt.ordinal, attempt.tokens))


def _believed(outcome: Outcome, headroom: Headroom) -> Headroom:
    """Return the headroom of a refusal that also says when to come back: that is when it will admit again."""
    if outcome.fault is not Fault.RATE_LIMITED or outcome.retry_after_s is None:
        return headroom
    return headroom.within(outcome.retry_after_s)
