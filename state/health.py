"""The standing of a target, and everything that can change it: the circuit breaker, as pure functions.

`_NEXT` holds every transition there is; an event that it does not know changes nothing. Three rules shape the rest.

Only what a request proves counts fully. A passing liveness or catalog probe, or a count of tokens, never readmits and
never excuses a failed request; a failing one counts, since what cannot be reached cannot serve. A passing canary
vouches for a target that was ejected: it may be tried, early and one request at a time, and is healthy once that has
succeeded.

What was sent before a target took its standing says nothing about that standing, in either direction.

Nothing can get stuck: a cooldown ends by itself, a target on trial is open to requests, and no trial is booked here
that somebody would have to give back.
"""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import Final
from zlib import crc32

from msgspec.structs import replace

from state.faults import FAULT_RULES, Fault, HealthEffect
from state.hearing import heard
from state.messages import AnswerBegan, AttemptCompleted, ProbeCompleted
from state.observation import began, counts, excuses, given_up, observe
from state.outcome import Outcome
from state.policy import HealthPolicy
from state.record import Evidence, Record, is_surface, next_wake
from state.returning import SLOW_START, check_from, grown, neglected, shrunk, trial_from, trials_needed, vouched_for
from state.standing import Standing
from state.targets import TargetName
from state.window import Window

__all__ = ["begin", "cooldown_s", "drain", "ejects", "fold", "resume", "tick"]


class _Event(Enum):
    FELL = auto()
    """Enough faults."""
    ROSE = auto()
    """Enough successes."""
    ELAPSED = auto()
    """The cooldown is over."""
    VOUCHED = auto()
    """A canary, or a request that had nowhere else to go, succeeded before the cooldown was over."""


_NEXT: Final = {
    (Standing.UNPROVEN, _Event.ROSE): Standing.HEALTHY,
    (Standing.UNPROVEN, _Event.FELL): Standing.COOLING,
    (Standing.HEALTHY, _Event.FELL): Standing.COOLING,
    (Standing.COOLING, _Event.ELAPSED): Standing.PROBATION,
    (Standing.COOLING, _Event.VOUCHED): Standing.PROBATION,
    (Standing.PROBATION, _Event.ROSE): Standing.HEALTHY,
    (Standing.PROBATION, _Event.FELL): Standing.COOLING,
}

_PLURALS: Final = {
    Fault.UNREACHABLE: "connection failures",
    Fault.TLS: "TLS failures",
    Fault.TIMEOUT: "timeouts",
    Fault.OVERLOADED: "overloads",
    Fault.SERVER_ERROR: "server errors",
    Fault.BAD_REPLY: "bad replies",
    Fault.CUT: "cut streams",
}
_JITTER: Final = 0.1
_MOST_DOUBLINGS: Final = 30


def fold(record: Record, evidence: Evidence, policy: HealthPolicy) -> Record:
    """Return the record after one piece of evidence; what a caller did is neither success nor failure."""
    record = heard(record, evidence)
    if not evidence.outcome.counts:
        return given_up(record, evidence)
    return _judge(observe(tick(record, policy, evidence.at), evidence, policy), evidence, policy)


def begin(record: Record, seen: AnswerBegan, policy: HealthPolicy) -> Record:
    """Return the record once the first token of an answer has come: a trial is judged by it, not by its last."""
    record = began(tick(record, policy, seen.at), seen)
    if record.standing is Standing.COOLING or seen.started_at < record.since:
        return record
    if record.standing is Standing.HEALTHY:
        return replace(record, limit=grown(record, seen.in_flight)) if record.limit else record
    if record.standing is Standing.UNPROVEN:
        return record  # a client may leave now, and nobody would know how it had ended
    return _passed_trial(record, seen.at, policy)


def tick(record: Record, policy: HealthPolicy, now: float) -> Record:
    """Return the record as it is at `now` when nothing but time has passed since.

    Afterwards `next_wake` lies beyond `now`.
    """
    if now < next_wake(record):
        return record
    if record.until <= now:
        record = _move(record, _Event.ELAPSED, record.until, "cooldown over", policy)
    return replace(
        record if record.drained_until > now else resume(record),
        block=record.block.ended() if record.block.until <= now else record.block,
        refusal=record.refusal.ended() if record.refusal.until <= now else record.refusal,
        latencies=Window() if record.latencies.empty_at <= now else record.latencies,
        outcomes=Window() if record.outcomes.empty_at <= now else record.outcomes,
        page=None if record.page is None or record.page.until <= now else record.page,
    )


def drain(record: Record, until: float | None, reason: str) -> Record:
    """Return the record drained until `until`, or until `resume` where that is None; its standing stays."""
    return replace(record, drained=True, drained_until=math.inf if until is None else until, drain_reason=reason)


def resume(record: Record) -> Record:
    """Return the record without a drain; its standing stays."""
    return replace(record, drained=False, drained_until=math.inf, drain_reason="")


def cooldown_s(target: TargetName, ejections: int, policy: HealthPolicy) -> float:
    """Return the seconds of a cooldown after `ejections` earlier ones in a row: doubling, at most the policy's.

    Up to a tenth longer or shorter, by the target's name alone, so that targets ejected together do not return together
    and yet no cooldown of one target is shorter than the one before it.
    """
    longest = policy.cooldown.max
    whole = min(policy.cooldown.base * 2.0 ** min(ejections, _MOST_DOUBLINGS), longest)
    share = crc32(target.encode()) / 0xFFFFFFFF
    return min(whole * (1.0 - _JITTER + 2.0 * _JITTER * share), longest)


def _judge(record: Record, evidence: Evidence, policy: HealthPolicy) -> Record:
    """Count the evidence for or against the standing, and change it where that is enough."""
    fault, surface = evidence.outcome.fault, is_surface(evidence)
    live = isinstance(evidence, AttemptCompleted) and not surface
    if live:
        record = replace(record, last_live_at=evidence.at)
    if record.standing is Standing.COOLING:
        record = _judge_absent(record, evidence, policy)
    if not counts(record, evidence):
        return record
    if fault is None:
        return _judge_success(record, evidence, policy)
    if fault is Fault.OVERLOADED and not surface:
        record = replace(record, limit=shrunk(record, evidence))
    if not ejects(evidence.outcome):
        return record
    record = replace(
        record,
        request_faults=record.request_faults + (not surface),
        surface_faults=record.surface_faults + surface,
        counted_at=evidence.at,
        run_of=fault if record.run_of is fault or not _run(record) else None,
    )
    cause = _fall_cause(record, evidence, policy)
    if not cause:
        return record
    lied = record.vouched and live
    record = replace(record, fell_on=fault, mistrust=record.mistrust + lied, ejections=record.ejections + lied)
    return _move(record, _Event.FELL, evidence.at, cause, policy)


def _judge_absent(record: Record, evidence: Evidence, policy: HealthPolicy) -> Record:
    """Judge what a canary found at a cooling target, or a request that had nowhere else to go."""
    if evidence.started_at <= record.since or is_surface(evidence):
        return record
    if evidence.outcome.fault is None:
        moved = _move(record, _Event.VOUCHED, evidence.started_at, "answered before its cooldown was over", policy)
        return vouched_for(moved, evidence.at)
    if not ejects(evidence.outcome):
        return record
    return replace(record, check_at=check_from(record, policy, evidence.at))


def _judge_success(record: Record, evidence: Evidence, policy: HealthPolicy) -> Record:
    if is_surface(evidence):
        return replace(record, surface_faults=0) if record.surface_faults else record
    told = isinstance(evidence, AttemptCompleted) and evidence.began
    if record.standing is Standing.HEALTHY:
        limit = record.limit
        if limit and isinstance(evidence, AttemptCompleted) and not told:
            limit = grown(record, evidence.in_flight)
        if limit == record.limit and not _run(record):
            return record
        record = replace(record, limit=limit)
        return replace(record, request_faults=0, surface_faults=0) if excuses(record, evidence) else record
    if record.standing is Standing.PROBATION and not isinstance(evidence, AttemptCompleted):
        return vouched_for(replace(record, trial_at=math.inf), evidence.at) if not record.vouched else record
    return record if told and record.standing is Standing.PROBATION else _passed_trial(record, evidence.at, policy)


def _passed_trial(record: Record, at: float, policy: HealthPolicy) -> Record:
    record = replace(record, successes=record.successes + 1, request_faults=0, surface_faults=0)
    needed = trials_needed(record, policy) if record.standing is Standing.PROBATION else 1
    cause = "answered" if needed == 1 else f"{needed} trials succeeded"
    return _move(record, _Event.ROSE, at, cause, policy) if record.successes >= needed else record


def _move(record: Record, event: _Event, at: float, cause: str, policy: HealthPolicy) -> Record:
    """Take the standing that `_NEXT` gives for the event, or change nothing."""
    after = _NEXT.get((record.standing, event))
    if after is None:
        return record
    until, ejections, mistrust = math.inf, record.ejections, record.mistrust
    if after is Standing.COOLING:
        if _recovered(record, at, policy):
            ejections, mistrust = 0, 0
        until, ejections = at + cooldown_s(record.target, ejections, policy), ejections + 1
    moved = replace(
        record,
        standing=after,
        since=at,
        until=until,
        cause=cause,
        request_faults=0,
        surface_faults=0,
        run_of=None,
        successes=0,
        ejections=ejections,
        mistrust=mistrust,
        vouched=event is _Event.VOUCHED,
        limit=SLOW_START if record.standing is Standing.PROBATION and after is Standing.HEALTHY else 0,
        # A trial starts with a clean sheet; until then the outcomes show why the target was ejected.
        outcomes=Window() if record.standing is Standing.COOLING else record.outcomes,
    )
    return replace(moved, trial_at=trial_from(moved, policy), check_at=check_from(moved, policy, at))


def _recovered(record: Record, at: float, policy: HealthPolicy) -> bool:
    """Whether earlier ejections are forgotten: once it has been healthy for as long as the longest cooldown."""
    return record.standing is Standing.HEALTHY and at - record.since >= policy.cooldown.max


def _fall_cause(record: Record, evidence: Evidence, policy: HealthPolicy) -> str:
    """Say why the faults so far are enough, or nothing where they are not."""
    if record.standing is Standing.PROBATION:
        if isinstance(evidence, ProbeCompleted) and neglected(record, policy, evidence.at):
            return ""
        checked = "probe" if isinstance(evidence, ProbeCompleted) else "token count"
        return f"{checked if is_surface(evidence) else 'trial'} failed: {_named(evidence.outcome)}"
    run = _run(record)
    if run >= policy.fall:
        kind = "faults" if record.run_of is None else _PLURALS[record.run_of]
        return _named(evidence.outcome) if run == 1 else f"{run} {kind} in a row"
    fresh = record.outcomes.fresh(evidence.at)
    failed = fresh.count(False)
    if len(fresh) >= policy.min_samples and failed / len(fresh) >= policy.failure_ratio:
        return f"{failed} of {len(fresh)} failed in {policy.window:g}s"
    return ""


def ejects(outcome: Outcome) -> bool:
    """Return whether the outcome is a fault of the kind that ejects a target."""
    return outcome.fault is not None and FAULT_RULES[outcome.fault].health is HealthEffect.EJECTS


def _run(record: Record) -> int:
    return record.request_faults + record.surface_faults


def _named(outcome: Outcome) -> str:
    words = "" if outcome.fault is None else outcome.fault.value.replace("_", " ")
    return words if outcome.status is None else f"{words} ({outcome.status})"
