"""The way back of an ejected target: a canary that vouches for it, trials, and a slow start."""

from __future__ import annotations

import math
from typing import Final

from msgspec.structs import replace

from state.messages import AttemptCompleted
from state.policy import HealthPolicy
from state.record import Evidence, Record
from state.standing import Standing

__all__ = [
    "SLOW_START",
    "check_from",
    "grown",
    "neglected",
    "shrunk",
    "trial_from",
    "trials_needed",
    "vouched_for",
]

_CHECK_S: Final = 5.0
"""How long an ejected target is left alone by canaries at most, so that a recovery is seen within seconds."""
_LATEST_CHECK: Final = 3
"""How many times as long, at most, one is left alone whose canaries lied: a trial in vain costs one fallback."""
_MOST_MISTRUST: Final = 6
_MENDED: Final = 0.3
"""What is left of its failures once something succeeded: facts/routing.md, section 1."""
SLOW_START: Final = 2
"""How many requests a target may have at once when it has just returned; doubled while it answers."""
_NO_LIMIT: Final = 64
"""A limit that has grown so far limits nothing any more."""
_LIVE_AFTER: Final = 10
"""Longest cooldowns without a request, after which one is tried though canaries fail: probes may lie both ways."""


def check_from(record: Record, policy: HealthPolicy, at: float) -> float:
    """Return when a canary may look at a cooling target next; a target whose canaries lied is looked at later."""
    if record.standing is not Standing.COOLING:
        return math.inf
    longest = min(_CHECK_S * min(1 + record.mistrust, _LATEST_CHECK), policy.cooldown.max)
    return at + min(max(0.0, record.until - record.since), longest)


def vouched_for(record: Record, at: float) -> Record:
    """Return the record after something succeeded at a target that was ejected: it may be another than before."""
    estimator = record.estimator.unsettled(at)
    return replace(record, vouched=True, estimator=estimator, reliability=record.reliability.mended(_MENDED))


def trial_from(record: Record, policy: HealthPolicy) -> float:
    """Return from when a target on probation is tried though no canary vouches for it; infinity where that is moot."""
    if record.standing is not Standing.PROBATION or record.vouched:
        return math.inf
    return record.since + (policy.vouch or 0.0)


def trials_needed(record: Record, policy: HealthPolicy) -> int:
    """Return how many trials readmit: one more for every second lie of its canaries."""
    return policy.rise + min(record.mistrust, _MOST_MISTRUST) // 2


def neglected(record: Record, policy: HealthPolicy, at: float) -> bool:
    """Return whether canaries alone have kept it away for so long that a request must decide."""
    return at - record.last_live_at > _LIVE_AFTER * policy.cooldown.max


def grown(record: Record, in_flight: int) -> int:
    """Return how many requests it may have at once after a success: twice as many once they half fill the limit."""
    if 2 * in_flight < record.limit:
        return record.limit
    limit = record.limit * 2
    return 0 if limit >= _NO_LIMIT else limit


def shrunk(record: Record, evidence: Evidence) -> int:
    """Return how many requests it may have at once after it said that it has too many: half of those it had."""
    if not isinstance(evidence, AttemptCompleted) or evidence.in_flight <= 1:
        return record.limit
    half = max(1, math.ceil(evidence.in_flight / 2))
    return min(record.limit, half) if record.limit else half
