"""What comes after a failed attempt: the next target, or the end."""

from __future__ import annotations

import msgspec

from daemon.routing.policy import Workload
from state.faults import FAULT_RULES, FallbackUse
from state.outcome import Outcome

__all__ = ["Fallback", "Situation", "Step", "Stop", "next_step"]


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request stands after an attempt that the client has seen nothing of."""

    outcome: Outcome
    attempts: int
    """How many attempts were made."""
    fallback_allowed: bool
    """Whether the client lets it go elsewhere (`fairlead-no-fallback`)."""
    now: float
    deadline: float


class Fallback(msgspec.Struct, frozen=True):
    """Try the workload's next target."""

    reason: str


class Stop(msgspec.Struct, frozen=True):
    """Tell the client."""

    reason: str
    """Why no other target is tried, as a sentence for the client."""


Step = Fallback | Stop


def next_step(workload: Workload, situation: Situation) -> Step:
    """Return what the workload's rules make of a failed attempt."""
    fault = situation.outcome.fault
    if fault is None:
        return Stop("The attempt succeeded.")
    if FAULT_RULES[fault].fallback is FallbackUse.NEVER or fault not in workload.fallback_on:
        return Stop(f"{workload.name} does not fall back on {fault.value}.")
    if not situation.fallback_allowed:
        return Stop("The client forbids a fallback (fairlead-no-fallback).")
    if situation.attempts >= workload.max_attempts:
        return Stop(f"{workload.name} allows max_attempts = {workload.max_attempts}.")
    if situation.now >= situation.deadline:
        return Stop("The client's deadline has passed.")
    return Fallback(f"{fault.value}: {situation.outcome.reason}")
