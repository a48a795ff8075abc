"""Which targets could take a request now: ready, and neither full nor rate-limited nor behind one that comes first."""

from __future__ import annotations

from collections import Counter

from daemon.routing.leases import DispatcherView, RouteQuery
from daemon.routing.obstacles import Load, obstacles_of
from daemon.routing.policy import Workload
from probes.surfaces import Surface
from state.targets import TargetName, provider_of

__all__ = ["available_targets", "workloads_without_target"]

_USUAL = (Surface.CHAT, Surface.MESSAGES)
"""What is asked for most in each dialect."""


def available_targets(workload: Workload, view: DispatcherView, now: float) -> tuple[TargetName, ...]:
    """Return the targets that would take a request of `workload` at `now`, in its order.

    A request that has tried nothing and needs nothing special, in whichever dialect suits the target.
    """
    providers: Counter[str] = Counter()
    for target, count in view.in_flight.items():
        providers[provider_of(target)] += count
    known = (view.routes, view.snapshot, Load(view.in_flight, providers, sent=view.sent, tokens_sent=view.tokens_sent))
    free: set[TargetName] = set()
    for surface in _USUAL:
        query = RouteQuery(request_id="", workload=workload, surface=surface, fallback_on=workload.fallback_on)
        obstacles = obstacles_of(query, known, now)
        free.update(target for target, each in zip(workload.targets, obstacles, strict=True) if each is None)
    return tuple(target for target in workload.targets if target in free)


def workloads_without_target(view: DispatcherView, now: float) -> tuple[str, ...]:
    """Return the names of the workloads that could serve nothing at `now`."""
    return tuple(name for name, workload in view.routes.workloads.items() if not available_targets(workload, view, now))
