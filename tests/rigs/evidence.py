"""Evidence in one line: what a request or a probe did, for tests of everything that judges it."""

from __future__ import annotations

from state.faults import Fault
from state.messages import AttemptCompleted, ProbeCompleted
from state.outcome import Outcome, ProbeKind
from state.targets import TargetName

__all__ = ["TARGET", "answered", "attempt", "failed", "probed"]

TARGET = TargetName("lab/steady")


def attempt(outcome: Outcome, at: float, took: float = 0.1, target: TargetName = TARGET) -> AttemptCompleted:
    """Return evidence of a request that ended at `at`, `took` seconds after it was sent."""
    return AttemptCompleted(target=target, outcome=outcome, started_at=at - took, at=at)


def answered(at: float, took: float = 0.1, target: TargetName = TARGET) -> AttemptCompleted:
    """Return evidence of a request that was answered."""
    return attempt(Outcome(status=200, latency_s=took), at, took, target)


def failed(at: float, fault: Fault = Fault.TIMEOUT, took: float = 0.1, target: TargetName = TARGET) -> AttemptCompleted:
    """Return evidence of a request that failed."""
    return attempt(Outcome(fault=fault, latency_s=took), at, took, target)


def probed(kind: ProbeKind, at: float, fault: Fault | None = None, took: float = 0.1) -> ProbeCompleted:
    """Return evidence of a probe that ended at `at`."""
    outcome = Outcome(fault=fault, latency_s=took)
    return ProbeCompleted(target=TARGET, kind=kind, outcome=outcome, started_at=at - took, at=at)
