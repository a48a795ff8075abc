"""The words of a request that found no answer: who was tried, what each said, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from daemon.faces.refusals import LONGEST_RETRY_AFTER_S, Refusal, RefusalKind
from daemon.limits.accounts import Verdict
from daemon.relay.calls import Answer, ClientCall, Failed
from daemon.relay.headers import answer_headers
from daemon.routing.leases import NoLease, NoLeaseReason
from daemon.routing.policy import Workload
from daemon.routing.sorting.policy import OverMaxInput
from state.faults import FAULT_RULES, Blame
from state.outcome import Outcome
from state.targets import TargetName

__all__ = ["Tried", "deadline_passed", "exhausted", "limited", "no_lease", "passed_on", "stopping", "too_long"]

Tried = tuple[TargetName, Outcome]
"""A target and how the attempt at it ended."""


def too_long(workload: Workload, tokens: int) -> Refusal | None:
    """Return the refusal of a request whose estimated `tokens` are more than the workload allows."""
    most = workload.max_input_tokens
    if most is None or tokens <= most or workload.over_max_input is OverMaxInput.LARGER:
        return None
    return Refusal(
        kind=RefusalKind.INPUT_TOO_LONG,
        message=f"The request has about {tokens} tokens; the workload {workload.name} allows "
        f"max_input_tokens = {most}. Shorten the input, or raise the limit in the configuration.",
    )


def limited(verdict: Verdict) -> Refusal:
    """Return the refusal of a request that met a limit, which says when it frees."""
    kind = RefusalKind.BUDGET if verdict.budget else RefusalKind.LIMITED
    return Refusal(kind=kind, message=verdict.message, retry_after_s=verdict.frees_in_s)


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
        case NoLeaseReason.TOO_LONG:
            kind = RefusalKind.INPUT_TOO_LONG
            text = f"No target of {workload} is known to take a request of this length ({why}). Shorten the input."
        case NoLeaseReason.NO_TARGET | NoLeaseReason.EXHAUSTED | NoLeaseReason.NO_HEDGE:
            kind, text = RefusalKind.NO_TARGET, f"No target of {workload} is available now ({why})."
    return Refusal(kind=kind, message=text, retry_after_s=refusal.retry_after_s)


def exhausted(call: ClientCall, tried: Sequence[Tried], stopped: str) -> Refusal:
    """Return the refusal of a request whose attempts all failed; `stopped` says why there was no further one."""
    last = tried[-1][1]
    return Refusal(
        kind=RefusalKind.EXHAUSTED,
        message=f"{call.workload.name} got no answer: {_told(tried)}. {stopped}",
        fault=last.fault,
        retry_after_s=last.retry_after_s,
    )


def _told(tried: Sequence[Tried]) -> str:
    return "; ".join(f"{target}: {outcome.fault} ({outcome.reason})" for target, outcome in tried)


def stopping(call: ClientCall) -> Refusal:
    """Return the refusal of a request that the daemon does not live to answer."""
    return Refusal(
        kind=RefusalKind.STOPPING,
        message=f"fairlead stopped before {call.workload.name} had an answer: its drain_grace was over. Ask again.",
    )


def deadline_passed(tried: Sequence[Tried]) -> Refusal:
    """Return the refusal of a request whose own deadline passed first."""
    targets = ", ".join(target for target, _ in tried) or "any target"
    return Refusal(
        kind=RefusalKind.DEADLINE,
        message=f"The deadline that the client set (fairlead-deadline-ms) passed while waiting for {targets}.",
    )


def passed_on(failed: Failed, own: Mapping[str, str], tried: Sequence[Tried]) -> Answer | None:
    """Return the provider's own error, where it is one that the client must read; else None.

    What the client itself can mend stays as it came. To everything else is added who was tried: the SDKs show only the
    message. The provider's wait goes with it only where it is one that an SDK may sleep through.
    """
    if failed.status is None or not failed.body.lstrip().startswith((b"{", b"[")):
        return None
    headers = answer_headers(failed.headers, own, "application/json")
    wait = failed.outcome.retry_after_s
    if wait is not None and 0 < wait <= LONGEST_RETRY_AFTER_S:
        headers["retry-after"] = str(max(1, round(wait)))
    fault = failed.outcome.fault
    headers["x-should-retry"] = "false"
    callers_own = fault is None or FAULT_RULES[fault].blame is Blame.CALLER
    body = failed.body if callers_own else _signed(failed.body, f"fairlead tried {_told(tried)}")
    return Answer(status=failed.status, headers=headers, body=body)


def _signed(body: bytes, note: str) -> bytes:
    """Return a provider's error with `note` at the end of its message, and every other member as it came."""
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        error = msgspec.json.decode(members["error"], type=dict[str, msgspec.Raw])
        message = msgspec.json.decode(error["message"], type=str)
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body
    error["message"] = msgspec.Raw(msgspec.json.encode(f"{message} [{note}]"))
    members["error"] = msgspec.Raw(msgspec.json.encode(error))
    return msgspec.json.encode(members)
