"""What a restart brings back of one target, with its times already on this process's clock."""

from __future__ import annotations

import msgspec

from state.latency.belief import Belief
from state.messages import AttemptCompleted, ProbeCompleted
from state.standing import Standing
from state.targets import TargetName

__all__ = ["Remembered"]


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What the history knows of one target. Times are seconds on the loop's monotonic clock, often in the past."""

    target: TargetName
    standing: Standing = Standing.UNPROVEN
    since: float = 0.0
    until: float | None = None
    cause: str = ""
    ejections: int = 0
    drained: bool = False
    drained_until: float | None = None
    drain_reason: str = ""
    belief: Belief | None = None
    """What was believed of its latency, as of a moment on this process's clock."""
    evidence: tuple[AttemptCompleted | ProbeCompleted, ...] = ()
    """The latest outcomes, oldest first: they fill the latency window again."""
