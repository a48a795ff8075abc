"""Which targets could take a request now: ready, and neither full nor rate-limited."""

from __future__ import annotations

from collections import Counter

from daemon.routing.leases import DispatcherView
from daemon.routing.policy import Workload
from state.standing import TargetHealth
from state.targets import TargetName, provider_of

__all__ = ["available_targets", "workloads_without_target"]


def available_targets(workload: Workload, view: DispatcherView, now: float) -> tuple[TargetName, ...]:
    """Return the targets of `workload` that are available at `now` (monotonic seconds), in its order."""
    taken: Counter[str] = Counter()
    for target, count in view.in_flight.items():
        taken[provider_of(target)] += count
    return tuple(
        target
        for target in workload.targets
        if (health := view.snapshot.targets.get(target)) is not None
        and _admits(health, view, now)
        and taken[provider_of(target)] < view.routes.places[target].max_in_flight
    )


def workloads_without_target(view: DispatcherView, now: float) -> tuple[str, ...]:
    """Return the names of the workloads that could serve nothing at `now`."""
    return tuple(name for name, workload in view.routes.workloads.items() if not available_targets(workload, view, now))


def _admits(health: TargetHealth, view: DispatcherView, now: float) -> bool:
    if not health.ready or (health.blocked_until is not None and health.blocked_until > now):
        return False
    if health.trial_from is not None and health.trial_from > now:
        return False
    sent, tokens_sent = view.sent.get(health.target, 0), view.tokens_sent.get(health.target, 0)
    return health.quota is None or health.quota.ready_at(sent, tokens_sent, 0) <= now
