"""What a history without text cannot tell of a request: how hard it is, what it is for, how well it was answered."""

from __future__ import annotations

from typing import Final

from daemon.routing.complexity.tiers import Tier
from daemon.routing.policy import Strategy, Workload
from daemon.whatif.then import Then
from state.history.journeys import RecordedRequest

__all__ = ["is_judged", "is_sorted"]

_TIERS: Final = frozenset(tier.value for tier in Tier)


def is_sorted(workload: Workload, request: RecordedRequest, then: Then | None) -> bool:
    """Return whether `workload` can tell where a request belongs by what it was taken for when it was made."""
    if workload.strategy not in {Strategy.COMPLEXITY, Strategy.TASK}:
        return True
    if request.label is None:  # it was sorted alike and belongs nowhere in particular, or nobody looked
        return then is not None and then.query.workload.strategy == workload.strategy
    known = _TIERS if workload.strategy == Strategy.COMPLEXITY else {task.name for task in workload.tasks}
    return request.label in known


def is_judged(workload: Workload) -> bool:
    """Return whether an answer that came is all that `workload` waits for; a cascade would look at its text first."""
    return workload.strategy != Strategy.CASCADE
