"""A request that was answered, what was heard of its answer, and the copy of it that goes to a candidate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from daemon.degraded.keys import Asker
from daemon.relay.calls import ClientCall
from daemon.routing.policy import DegradedPolicy, Strategy, StreamRecovery, Workload
from daemon.routing.sorting.policy import Shadow
from state.durations import Seconds
from state.history.charges import ComparisonRow
from state.history.rows import RequestRow

__all__ = ["Copied", "Said", "compared", "copy_of"]

_ONCE: Final = frozenset({"idempotency-key"})
"""A provider that remembers the key would repeat its answer to the request, or refuse the copy."""
_ANSWERED: Final = "ok"


class Said(msgspec.Struct, frozen=True):
    """What an answer's text was like, None where it was not one plain text."""

    length: int | None = None
    """Characters."""
    refused: bool | None = None
    """Whether it declines to do what was asked."""


class Copied(msgspec.Struct, frozen=True):
    """A request that has ended, of which a copy is wanted."""

    call: ClientCall
    shadow: Shadow
    row: RequestRow
    said: Callable[[], Said]
    """Looks at the answer; nobody has yet, since the client came first."""


def copy_of(copied: Copied, request_id: str, now: float) -> ClientCall:
    """Return the copy: to the candidate alone, once, at once, and at nobody's expense but the same payer's."""
    call = copied.call
    return replace(
        call,
        request_id=request_id,
        workload=_alone(call.workload, copied.shadow),
        headers=tuple(pair for pair in call.headers if pair[0] not in _ONCE),
        arrived_at=now,
        deadline=now + copied.shadow.timeout,
        fallback_allowed=False,
        patience_s=float("inf"),
        client_retry=None,
        charged=replace(call.charged, purpose="shadow"),
        asker=Asker(),
    )


def compared(copied: Copied, shadow_row: RequestRow, shadow_said: Said, now: float) -> ComparisonRow:
    """Return what the request and its copy came to, side by side; what was no answer has no text to compare."""
    row = copied.row
    said = copied.said() if row.outcome == _ANSWERED else Said()
    shadow_said = shadow_said if shadow_row.outcome == _ANSWERED else Said()
    return ComparisonRow(
        at=now,
        request_id=row.request_id,
        shadow_request_id=shadow_row.request_id,
        workload=row.workload,
        target=row.served_by,
        shadow_target=copied.shadow.target,
        outcome=row.outcome,
        shadow_outcome=shadow_row.outcome,
        latency_s=row.latency_s,
        shadow_latency_s=shadow_row.latency_s,
        cost_usd=row.cost_usd,
        shadow_cost_usd=shadow_row.cost_usd,
        length=said.length,
        shadow_length=shadow_said.length,
        refused=said.refused,
        shadow_refused=shadow_said.refused,
    )


def _alone(workload: Workload, shadow: Shadow) -> Workload:
    """Return the workload with the candidate as its only target, and with nothing that would do more than ask it."""
    return replace(
        workload,
        targets=(shadow.target,),
        strategy=Strategy.PRIORITY.value,
        weights=(),
        fallback_on=(),
        max_attempts=1,
        degraded=DegradedPolicy(),
        escalate=None,
        deadline=None,
        stream_floor=None,
        stream_recovery=StreamRecovery.NONE,
        max_input_tokens=None,
        require_human_review=False,
        tiers=None,
        tasks=(),
        canary=None,
        shadow=None,
        max_price=None,
        hedge=False,
        max_wait=Seconds(0),
    )
