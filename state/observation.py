"""What a piece of evidence shows of a target, whatever it means for the standing: latencies, outcomes, blocks."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from state.blocks import NO_BLOCK
from state.faults import FAULT_RULES, Blame, Fault, HealthEffect
from state.latency.estimator import Estimator, Sight, after_answer, after_first, after_silence, after_whole
from state.latency.level import p99
from state.latency.reliability import Reliability, after_cut, after_failure, after_success
from state.messages import AnswerBegan, AttemptCompleted, ProbeCompleted
from state.outcome import ProbeKind, Work
from state.policy import HealthPolicy
from state.record import Evidence, Record, is_surface
from state.standing import Standing
from state.window import LATENCY_SPANS, Window, latency_of

__all__ = ["began", "counts", "excuses", "given_up", "held_back", "lifted", "observe"]

_TELLING: Final = 5.0
"""Who is given up after this many times the p99 of a first token has half failed."""


def observe(record: Record, evidence: Evidence, policy: HealthPolicy) -> Record:
    """Take down what the evidence shows, whatever it means for the standing."""
    outcome, surface = evidence.outcome, is_surface(evidence)
    if outcome.fault is not None:
        return _observe_fault(record, evidence, policy)
    if surface:
        latency = latency_of(outcome)
        listed = isinstance(evidence, ProbeCompleted) and evidence.kind is ProbeKind.CATALOG
        refusal = NO_BLOCK if listed and record.refusal.fault is Fault.AUTH else record.refusal
        return replace(record, refusal=refusal, probe_s=record.probe_s if latency is None else latency)
    run = 0 if excuses(record, evidence) else record.reliability.run
    return replace(
        record,
        latencies=_latencies(record, evidence, policy),
        outcomes=_outcomes(record, evidence, policy),
        block=record.block.after_success(evidence.started_at),
        refusal=record.refusal.after_success(evidence.started_at),
        estimator=_estimated(record.estimator, evidence),
        reliability=after_success(record.reliability, evidence.at, 1.0 if outcome.streamed else 0.0, run),
        seen_at=evidence.at,
        answered_from=max(record.answered_from, evidence.started_at),
    )


def began(record: Record, seen: AnswerBegan) -> Record:
    """Return the record once the first token of a stream has come: its end may be a long way off."""
    sight = Sight(seen.at, seen.in_flight, seen.idle_s)
    return replace(
        record,
        estimator=after_first(record.estimator, seen.first_s, sight),
        block=record.block.after_success(seen.started_at),
        seen_at=seen.at,
        answered_from=max(record.answered_from, seen.started_at),
    )


def given_up(record: Record, evidence: Evidence) -> Record:
    """Return the record after a request that was given up for another: what was silent for long was slow, and no worse.

    A client that leaves has its own reasons: that says nothing of the target.
    """
    outcome = evidence.outcome
    if outcome.blame is not Blame.OURSELVES:
        return record
    silent = isinstance(evidence, AttemptCompleted) and outcome.streamed and outcome.first_byte_s is None
    if not silent or outcome.fault is not Fault.CANCELLED:
        return record
    usual_s = p99(record.estimator.first, evidence.at)
    estimator = after_silence(record.estimator, outcome.latency_s, _sight(evidence))
    if estimator is record.estimator:
        return record
    reliability = record.reliability
    if outcome.latency_s > _TELLING * usual_s:
        reliability = after_failure(reliability, outcome.latency_s, evidence.at, 0.5)
    return replace(record, estimator=estimator, reliability=reliability, seen_at=evidence.at)


def excuses(record: Record, success: Evidence) -> bool:
    """Whether a success ends a run of faults: what was sent before the last that failed proves the past, not now."""
    return success.started_at >= record.failed_from


def _sight(evidence: Evidence) -> Sight:
    if isinstance(evidence, ProbeCompleted):
        return Sight(evidence.at, probe=True)
    return Sight(evidence.at, evidence.in_flight, evidence.idle_s)


def _embeds(evidence: Evidence) -> bool:
    return isinstance(evidence, AttemptCompleted) and evidence.work is Work.EMBED


def _latencies(record: Record, evidence: Evidence, policy: HealthPolicy) -> Window[float]:
    """Return the window with what the success took; embeddings stay in it only until the target writes an answer."""
    latency, writes = latency_of(evidence.outcome), record.estimator.first.count > 0
    embeds = _embeds(evidence)
    if latency is None or (embeds and writes):
        return record.latencies
    window = record.latencies if embeds or writes else Window[float]()
    return window.add(latency, evidence.at, LATENCY_SPANS * policy.window)


def _estimated(before: Estimator, evidence: Evidence) -> Estimator:
    if _embeds(evidence):
        return before
    outcome, sight = evidence.outcome, _sight(evidence)
    tokens = outcome.tokens or 0
    if not tokens and isinstance(evidence, AttemptCompleted):
        tokens, sight = round(evidence.guessed_tokens), replace(sight, guessed=True)
    first_s, whole_s = outcome.first_byte_s, outcome.latency_s
    if whole_s <= 0.0:
        return before
    if not outcome.streamed or first_s is None:
        return after_whole(before, whole_s, tokens, sight)
    known = isinstance(evidence, AttemptCompleted) and evidence.began
    if not known:
        before = after_first(before, first_s, sight)
    return after_answer(before, whole_s - first_s, tokens, sight, whole_s)


def _observe_fault(record: Record, evidence: Evidence, policy: HealthPolicy) -> Record:
    outcome = evidence.outcome
    record = replace(record, last_fault=outcome.fault, last_fault_at=evidence.at)
    ejects = outcome.fault is not None and FAULT_RULES[outcome.fault].health is HealthEffect.EJECTS
    if ejects and not is_surface(evidence):
        outcomes = _outcomes(record, evidence, policy)
        failed_from = max(record.failed_from, evidence.started_at)
        reliability = _failed(record, evidence)
        record = replace(record, outcomes=outcomes, reliability=reliability, failed_from=failed_from)
    return held_back(record, evidence)


def _failed(record: Record, evidence: Evidence) -> Reliability:
    """Return the reliability after a fault; one of a target that is known to be down says nothing new."""
    if not counts(record, evidence) or (record.standing is Standing.PROBATION and isinstance(evidence, ProbeCompleted)):
        return record.reliability
    if evidence.outcome.fault is Fault.CUT:
        return after_cut(record.reliability, evidence.at)
    return after_failure(record.reliability, evidence.outcome.latency_s, evidence.at)


def held_back(record: Record, evidence: Evidence) -> Record:
    """Let a fault keep new requests away for a time, where it is one that does."""
    outcome, started_at, at = evidence.outcome, evidence.started_at, evidence.at
    if is_surface(evidence) and outcome.fault is not Fault.AUTH:
        # A listing or a count that is rate-limited says nothing of completions: our own probes would lock them out.
        return record
    if outcome.fault is None or (_mendable(outcome.fault) and started_at < record.lifted_at):
        return record
    match FAULT_RULES[outcome.fault].health:
        case HealthEffect.REFUSES:
            return replace(record, refusal=record.refusal.after_refusal(outcome, started_at, at))
        case HealthEffect.BLOCKS:
            return replace(record, block=record.block.after_refusal(outcome, started_at, at))
        case HealthEffect.EJECTS if outcome.retry_after_s:
            return replace(record, block=record.block.after_refusal(outcome, started_at, at))
        case _:
            return record


def lifted(record: Record, at: float) -> Record:
    """Return the record after a new configuration at `at`: who made it may have mended the key, or paid the bill."""
    block = NO_BLOCK if record.block.fault is not None and _mendable(record.block.fault) else record.block
    return replace(record, refusal=NO_BLOCK, block=block, lifted_at=at)


def counts(record: Record, evidence: Evidence) -> bool:
    """Whether the evidence says anything of the standing: nothing sent before one does, but a first word is welcome."""
    match record.standing:
        case Standing.COOLING:
            return False
        case Standing.UNPROVEN:
            return True
        case _:
            return evidence.started_at >= record.since


def _outcomes(record: Record, evidence: Evidence, policy: HealthPolicy) -> Window[bool]:
    if not counts(record, evidence):
        return record.outcomes
    return record.outcomes.add(evidence.outcome.fault is None, evidence.at, policy.window)


def _mendable(fault: Fault) -> bool:
    """Whether another configuration may mend it: what a key may do, what a name means, what is paid for."""
    return fault is Fault.QUOTA or FAULT_RULES[fault].health is HealthEffect.REFUSES
