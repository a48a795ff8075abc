"""The rows that the registry leaves in the history: what it was told, and what standing a target took by it."""

from __future__ import annotations

import math

from state.history.rows import OperationRow, ProbeRow, TransitionRow
from state.messages import DrainRequested, ProbeCompleted
from state.record import Record
from state.standing import Standing

__all__ = ["drain_row", "probe_row", "transition_row"]


def probe_row(probe: ProbeCompleted) -> ProbeRow:
    """Return the row of a probe."""
    return ProbeRow(at=probe.at, target=probe.target, kind=probe.kind, outcome=probe.outcome, cost_usd=probe.cost_usd)


def drain_row(message: DrainRequested, now: float) -> OperationRow:
    """Return the row of a drain that was done at `now`, monotonic seconds."""
    return OperationRow(
        at=now,
        verb="drain",
        target=message.target,
        by=message.by,
        reason=message.reason,
        until=message.until,
    )


def transition_row(record: Record, before: Standing) -> TransitionRow:
    """Return the row of the standing that the record took, after `before`."""
    return TransitionRow(
        at=record.since,
        target=record.target,
        before=before,
        after=record.standing,
        cause=record.cause,
        until=None if math.isinf(record.until) else record.until,
        ejections=record.ejections,
    )
