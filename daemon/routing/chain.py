"""What comes after a failed attempt: the next target, the same one again, or the end."""

from __future__ import annotations

from typing import Final

import msgspec

from daemon.routing.policy import Workload
from state.faults import ENTITLEMENT, FAULT_RULES, FallbackUse, Fault, Retry
from state.outcome import Outcome

__all__ = ["SHORT_HINT_S", "Onward", "Situation", "Step", "Stop", "next_step"]

SHORT_HINT_S: Final = 2.0
"""A target that asks to be left alone for longer is not asked again."""
_NO_ROOM: Final = frozenset({Fault.RATE_LIMITED, Fault.QUOTA})


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request stands after an attempt that the client has seen nothing of."""

    outcome: Outcome
    attempts: int
    """How many attempts were made."""
    repeatable: bool = False
    """Whether asking the same target once more could help, by what was seen of the attempt and of those before it."""
    fallback_allowed: bool
    """Whether the client lets it go elsewhere (`fairlead-no-fallback`)."""
    now: float
    deadline: float


class Onward(msgspec.Struct, frozen=True, kw_only=True):
    """Try again."""

    reason: str
    elsewhere: bool
    """Whether at the workload's other targets."""
    again: bool
    """Whether at the same one, where no other is left."""
    pause_s: float = 0.0
    """Seconds to wait first."""


class Stop(msgspec.Struct, frozen=True):
    """Tell the client."""

    reason: str
    """Why nothing else is tried, as a sentence for the client."""


Step = Onward | Stop


def next_step(workload: Workload, situation: Situation) -> Step:
    """Return what the workload's rules make of a failed attempt."""
    fault = situation.outcome.fault
    if fault is None:
        return Stop("The attempt succeeded.")
    again = situation.repeatable and _again_helps(fault, situation.outcome)
    refusal = _why_not_elsewhere(workload, fault, situation)
    if refusal and not again:
        return Stop(refusal)
    if situation.attempts >= workload.max_attempts:
        return Stop(f"{workload.name} allows max_attempts = {workload.max_attempts}.")
    if situation.now >= situation.deadline:
        return Stop("The request's deadline has passed.")
    pause_s = workload.backoff if fault in _NO_ROOM and not refusal else 0.0
    hint_s = situation.outcome.retry_after_s or 0.0
    if situation.now + (hint_s if refusal else pause_s) >= situation.deadline:
        return Stop("After the backoff there would be no time left before the request's deadline.")
    return Onward(
        reason=f"{fault.value}: {situation.outcome.reason}", elsewhere=not refusal, again=again, pause_s=pause_s
    )


def _again_helps(fault: Fault, outcome: Outcome) -> bool:
    if FAULT_RULES[fault].retry is not Retry.ALONE:
        return False
    hint_s = outcome.retry_after_s
    if hint_s is not None and hint_s > SHORT_HINT_S:
        return False
    return fault is not Fault.RATE_LIMITED or bool(hint_s)


def _why_not_elsewhere(workload: Workload, fault: Fault, situation: Situation) -> str:
    """Return why the workload's other targets are not tried, as a sentence; empty where they are."""
    if FAULT_RULES[fault].fallback is FallbackUse.NEVER or fault not in workload.fallback_on:
        return f"{workload.name} does not fall back on {fault.value}."
    if workload.require_entitlement and fault in ENTITLEMENT:
        return f"{workload.name} requires its entitlement, and {fault.value} is shown."
    if not situation.fallback_allowed:
        return "The client forbids a fallback (fairlead-no-fallback)."
    return ""
