"""What a piece of evidence shows of a target, whatever it means for the standing: latencies, outcomes, blocks."""

from __future__ import annotations

from msgspec.structs import replace

from state.blocks import NO_BLOCK
from state.faults import FAULT_RULES, Fault, HealthEffect
from state.messages import ProbeCompleted
from state.outcome import Outcome, ProbeKind
from state.policy import HealthPolicy
from state.record import Evidence, Record, is_surface
from state.standing import Standing
from state.window import LATENCY_SPANS, Window, latency_of

__all__ = ["counts", "held_back", "observe"]


def observe(record: Record, evidence: Evidence, policy: HealthPolicy) -> Record:
    """Take down what the evidence shows, whatever it means for the standing."""
    outcome, surface = evidence.outcome, is_surface(evidence)
    if outcome.fault is not None:
        return _observe_fault(record, evidence, policy)
    latency = latency_of(outcome)
    if surface:
        listed = isinstance(evidence, ProbeCompleted) and evidence.kind is ProbeKind.CATALOG
        refusal = NO_BLOCK if listed and record.refusal.fault is Fault.AUTH else record.refusal
        return replace(record, refusal=refusal, probe_s=record.probe_s if latency is None else latency)
    return replace(
        record,
        latencies=record.latencies
        if latency is None
        else record.latencies.add(latency, evidence.at, LATENCY_SPANS * policy.window),
        outcomes=_outcomes(record, evidence, policy),
        block=record.block.after_success(evidence.started_at),
        refusal=record.refusal.after_success(evidence.started_at),
    )


def _observe_fault(record: Record, evidence: Evidence, policy: HealthPolicy) -> Record:
    outcome = evidence.outcome
    record = replace(record, last_fault=outcome.fault, last_fault_at=evidence.at)
    if not is_surface(evidence):
        if outcome.fault is not None and FAULT_RULES[outcome.fault].health is HealthEffect.EJECTS:
            record = replace(record, outcomes=_outcomes(record, evidence, policy))
        return held_back(record, outcome, evidence.started_at, evidence.at)
    # A listing that is rate-limited says nothing of completions: our own probes would lock the target out.
    return held_back(record, outcome, evidence.started_at, evidence.at) if outcome.fault is Fault.AUTH else record


def held_back(record: Record, outcome: Outcome, started_at: float, at: float) -> Record:
    """Let a fault keep new requests away for a time, where it is one that does."""
    if outcome.fault is None:
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
