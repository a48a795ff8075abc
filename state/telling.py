"""What the log is told of targets: the standings that they take, and what operators do with them."""

from __future__ import annotations

import structlog

from state.history.rows import TransitionRow
from state.messages import DrainRequested, ResumeRequested
from state.standing import Standing

__all__ = ["say_drain_over", "say_drained", "say_dropped", "say_resumed", "say_standing"]

_log = structlog.get_logger("fairlead.registry")


def say_standing(row: TransitionRow) -> None:
    """Tell of a change of standing; an ejection is worth a warning."""
    say = _log.warning if row.after is Standing.COOLING else _log.info
    say(
        "standing_changed",
        target=row.target,
        before=row.before.value,
        after=row.after.value,
        cause=row.cause,
        cooldown_s=None if row.until is None else round(row.until - row.at, 3),
    )


def say_drained(message: DrainRequested, now: float) -> None:
    """Tell of a drain that was done at `now`, monotonic seconds."""
    for_s = None if message.until is None else round(message.until - now, 1)
    _log.info("drained", target=message.target, by=message.by, reason=message.reason or None, for_s=for_s)


def say_resumed(message: ResumeRequested) -> None:
    """Tell of the end of a drain."""
    _log.info("resumed", target=message.target, by=message.by)


def say_drain_over(target: str) -> None:
    """Tell that a drain ended by itself."""
    _log.info("drain_expired", target=target)


def say_dropped(count: int) -> None:
    """Tell of evidence that came faster than it could be read."""
    _log.warning("evidence_dropped", count=count)
