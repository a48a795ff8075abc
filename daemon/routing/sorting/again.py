"""What another configuration makes of a request whose prompt is gone: it goes by what the request was taken for."""

from __future__ import annotations

from daemon.routing.complexity.tiers import Tier
from daemon.routing.leases import Preference
from daemon.routing.policy import Workload
from daemon.routing.sorting.tasks import Signs, by_task
from daemon.routing.sorting.tiers import tier_groups, unseen_tier

__all__ = ["sorted_as", "unseen"]


def unseen(workload: Workload) -> Preference:
    """Return what suits a request of `workload` of which there is no prompt to look at."""
    if workload.tiers is not None:
        return unseen_tier(workload.tiers)
    return by_task(workload.tasks, Signs())


def sorted_as(workload: Workload, then: Preference) -> Preference:
    """Return what suits a request of `workload` that was once sorted as `then`."""
    if then.candidate is not None and workload.canary is not None and workload.canary.target == then.candidate:
        return then
    if workload.tiers is not None and then.label in set(Tier):
        return Preference(tier_groups(workload.tiers, Tier(then.label)), then.label, then.why)
    for task in workload.tasks:
        if task.name and task.name == then.label:
            return Preference((task.targets,), then.label, then.why)
    return unseen(workload)
