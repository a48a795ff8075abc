"""What the registry has the history write down, as rows."""

from __future__ import annotations

import math

from state.history.rows import ProbeRow, TransitionRow
from state.messages import ProbeCompleted
from state.record import Record
from state.standing import Standing

__all__ = ["probe_row", "transition_row"]


def probe_row(probe: ProbeCompleted) -> ProbeRow:
    """Return the row of a probe that was made."""
    return ProbeRow(at=probe.at, target=probe.target, kind=probe.kind, outcome=probe.outcome, cost_usd=probe.cost_usd)


def transition_row(record: Record, before: Standing) -> TransitionRow:
    """Return the row of a standing that was just taken, after `before`."""
    return TransitionRow(
        at=record.since,
        target=record.target,
        before=before,
        after=record.standing,
        cause=record.cause,
        until=None if math.isinf(record.until) else record.until,
        ejections=record.ejections,
    )
