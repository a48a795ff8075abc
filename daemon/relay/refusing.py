"""The words of a request that found no answer: who was tried, what each said, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daemon.faces.refusals import LONGEST_RETRY_AFTER_S, Refusal, RefusalKind
from daemon.relay.calls import Answer, ClientCall, Failed
from daemon.relay.headers import answer_headers
from daemon.routing.leases import NoLease, NoLeaseReason
from state.faults import Fault
from state.outcome import Outcome
from state.targets import TargetName

__all__ = ["Tried", "deadline_passed", "exhausted", "no_lease", "passed_on", "too_long"]

Tried = tuple[TargetName, Outcome]
"""A target and how the attempt at it ended."""
_BYTES_PER_TOKEN = 4
"""English text has about four bytes to a token; near enough to refuse what is far too long."""


def too_long(call: ClientCall) -> Refusal | None:
    """Return the refusal of a request whose estimated tokens are more than the workload allows."""
    most = call.workload.max_input_tokens
    estimate = len(call.body) // _BYTES_PER_TOKEN
    if most is None or estimate <= most:
        return None
    return Refusal(
        kind=RefusalKind.INPUT_TOO_LONG,
        message=f"The request has about {estimate} tokens; the workload {call.workload.name} allows "
        f"max_input_tokens = {most}. Shorten the input, or raise the limit in the configuration.",
    )


def no_lease(call: ClientCall, refusal: NoLease) -> Refusal:
    """Return the refusal of a request for which there was nothing to attempt."""
    workload = call.workload.name
    why = "; ".join(f"{candidate.target}: {candidate.skipped}" for candidate in refusal.choice.candidates)
    match refusal.reason:
        case NoLeaseReason.INCOMPATIBLE:
            kind = RefusalKind.INCOMPATIBLE
            text = (
                f"No target of {workload} answers {call.surface.value}. Use the other dialect's path, "
                f"or add a target that speaks {call.surface.dialect.value}."
            )
        case NoLeaseReason.QUEUE_FULL:
            kind, text = RefusalKind.QUEUE_FULL, f"Too many requests of {workload} are waiting already. Try again soon."
        case NoLeaseReason.NO_TARGET | NoLeaseReason.EXHAUSTED:
            kind, text = RefusalKind.NO_TARGET, f"No target of {workload} is available now ({why})."
    message = text if kind is RefusalKind.INCOMPATIBLE else _with_degraded(call, text)
    return Refusal(kind=kind, message=message, retry_after_s=refusal.retry_after_s)


def _with_degraded(call: ClientCall, text: str) -> str:
    if call.workload.degraded.mode == "static":
        return f"{call.workload.degraded.message} [{text}]"
    return text


def exhausted(call: ClientCall, tried: Sequence[Tried], stopped: str) -> Refusal:
    """Return the refusal of a request whose attempts all failed; `stopped` says why there was no further one."""
    last = tried[-1][1]
    story = "; ".join(f"{target}: {outcome.fault} ({outcome.reason})" for target, outcome in tried)
    text = f"{call.workload.name} got no answer: {story}. {stopped}"
    return Refusal(
        kind=RefusalKind.EXHAUSTED,
        message=_with_degraded(call, text),
        fault=last.fault,
        retry_after_s=last.retry_after_s,
    )


def deadline_passed(tried: Sequence[Tried]) -> Refusal:
    """Return the refusal of a request whose own deadline passed first."""
    targets = ", ".join(target for target, _ in tried) or "any target"
    return Refusal(
        kind=RefusalKind.DEADLINE,
        message=f"The deadline that the client set (fairlead-deadline-ms) passed while waiting for {targets}.",
    )


def passed_on(failed: Failed, own: Mapping[str, str]) -> Answer | None:
    """Return the provider's own error as it came, where it is one that the client must read; else None.

    The provider's wait goes with it only where it is one that an SDK may sleep through.
    """
    if failed.status is None or not failed.body.lstrip().startswith((b"{", b"[")):
        return None
    headers = answer_headers(failed.headers, own, "application/json")
    wait = failed.outcome.retry_after_s
    if wait is not None and 0 < wait <= LONGEST_RETRY_AFTER_S:
        headers["retry-after"] = str(max(1, round(wait)))
    if failed.outcome.fault is not Fault.INVALID_REQUEST:
        headers["x-should-retry"] = "false"
    return Answer(status=failed.status, headers=headers, body=failed.body)
