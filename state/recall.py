"""The record that a restart goes on from."""

from __future__ import annotations

import math

from msgspec.structs import replace

from state.health import drain, ejects, tick
from state.latency.belief import Belief
from state.observation import observe
from state.policy import HealthPolicy
from state.record import Record
from state.remembered import Remembered
from state.returning import trial_from
from state.standing import Standing

__all__ = ["recall"]


def recall(remembered: Remembered, policy: HealthPolicy, now: float) -> Record:
    """Return the record that a restart goes on from.

    No clock jump can lock a target out: a cooldown ends within the longest one from `now`, no time lies in the future,
    and what ended while nobody looked has ended. Evidence fills the windows again and judges nobody twice.
    """
    record = Record(target=remembered.target, since=min(remembered.since, now))
    if remembered.standing is not Standing.UNPROVEN:
        cause, ejections = remembered.cause or "as before the restart", remembered.ejections
        record = replace(record, standing=remembered.standing, cause=cause, ejections=ejections)
    if remembered.standing is Standing.COOLING:
        until = now if remembered.until is None else min(remembered.until, now + policy.cooldown.max)
        record = replace(record, until=until, check_at=now)
    record = replace(record, trial_at=trial_from(record, policy))
    if remembered.drained:
        record = drain(record, remembered.drained_until, remembered.drain_reason)
    belief = remembered.belief or Belief(at=-math.inf)
    record = replace(record, estimator=belief.estimator, reliability=belief.reliability)
    for evidence in remembered.evidence:
        if evidence.outcome.counts:
            past = replace(evidence, at=min(evidence.at, now), started_at=min(evidence.started_at, now))
            record = observe(record, past, policy)
            if past.at <= record.since and ejects(past.outcome):
                record = replace(record, fell_on=past.outcome.fault)
            if past.at <= belief.at:  # what was believed then follows from it already
                record = replace(record, estimator=belief.estimator, reliability=belief.reliability)
    return tick(record, policy, now)
