"""What an answer of the simulated world is to the daemon: an outcome."""

from __future__ import annotations

from benchmarks.routing.engine import Reply
from state.faults import Fault
from state.outcome import Outcome
from state.quota import Allowance, Headroom

__all__ = ["outcome_of"]

_OVERLOADED = 503


def outcome_of(reply: Reply, *, streamed: bool, first_s: float | None) -> Outcome:
    """Return the outcome that the relay would make of `reply`."""
    return Outcome(
        fault=_fault_of(reply, streamed=streamed),
        status=reply.status,
        first_byte_s=first_s,
        latency_s=reply.latency_s,
        retry_after_s=reply.retry_after_s,
        streamed=streamed,
        tokens=reply.tokens,
        headroom=None if reply.remaining is None else Headroom(Allowance(reply.remaining, reply.reset_s)),
    )


def _fault_of(reply: Reply, *, streamed: bool) -> Fault | None:
    match reply.kind:
        case "ok":
            return None
        case "refused":
            return Fault.UNREACHABLE
        case "rate_limited":
            return Fault.RATE_LIMITED
        case "cut":
            return Fault.CUT if streamed else Fault.BAD_REPLY
        case _:
            return Fault.OVERLOADED if reply.status == _OVERLOADED else Fault.SERVER_ERROR
