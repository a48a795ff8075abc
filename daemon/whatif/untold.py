"""What a history cannot tell of a request, since it holds no text: how hard it is, what for, how good its answer was."""

from __future__ import annotations

from typing import Final

from daemon.routing.policy import Strategy, Workload
from daemon.whatif.then import Then
from state.history.journeys import RecordedRequest

__all__ = ["is_judged", "is_sorted"]

_TIERS: Final = frozenset({"simple", "moderate", "complex"})
_NO_TASK: Final = _TIERS | {"canary"}


def is_sorted(workload: Workload, request: RecordedRequest, then: Then | None) -> bool:
    """Return whether `workload` can tell where a request belongs by what it was taken for when it was made."""
    if workload.strategy not in {Strategy.COMPLEXITY, Strategy.TASK}:
        return True
    label = request.label
    if label is None:  # it was sorted alike and belongs nowhere in particular, or nobody looked
        return then is not None and then.query.workload.strategy == workload.strategy
    return label in _TIERS if workload.strategy == Strategy.COMPLEXITY else label not in _NO_TASK


def is_judged(workload: Workload) -> bool:
    """Return whether an answer that came is all that `workload` waits for; a cascade would look at its text first."""
    return workload.strategy != Strategy.CASCADE
