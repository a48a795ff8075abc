"""What `status` shows: the dispatcher's view, the recorder's state and the configuration in force, as plain values.

Times are given as what is left of them, in seconds, and latencies in milliseconds: nobody outside has our clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from daemon.alerts.watch import Recent
from daemon.in_force import InForce
from daemon.routing.leases import Candidate, Choice, DispatcherView
from daemon.routing.selection import available_targets
from state.faults import Fault
from state.history.recorder import RecorderState
from state.standing import Standing, TargetHealth
from state.targets import split_target

__all__ = [
    "base_urls",
    "degraded_problems",
    "history_picture",
    "problems",
    "route_picture",
    "target_picture",
    "workload_picture",
]

_RECENT_S = 600.0
_MISCONFIGURED = frozenset({Fault.AUTH, Fault.PERMISSION, Fault.MODEL_NOT_FOUND})


def _left(until: float | None, now: float) -> float | None:
    return round(until - now, 3) if until is not None and until > now else None


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 1)


def target_picture(health: TargetHealth, view: DispatcherView, now: float) -> dict[str, Any]:
    """Return one target as `status` shows it."""
    place = view.routes.places.get(health.target)
    return {
        "target": health.target,
        "standing": health.standing.value,
        "cause": health.cause,
        "drained": health.drained,
        "drain_reason": health.drain_reason,
        "drained_for_s": _left(health.drained_until, now) if health.drained else None,
        "expected_ms": _ms(health.expected_s),
        "p50_ms": _ms(health.p50_s),
        "p95_ms": _ms(health.p95_s),
        "samples": health.samples,
        "success_ratio": None if health.success_ratio is None else round(health.success_ratio, 4),
        "in_flight": view.in_flight.get(health.target, 0),
        "max_in_flight": place.max_in_flight if place else None,
        "cooldown_s": _left(health.until, now) if health.standing is Standing.COOLING else None,
        "rate_limited_s": _left(health.blocked_until, now),
        "last_fault": health.last_fault.value if health.last_fault else None,
    }


def workload_picture(
    view: DispatcherView, now: float, recent: Mapping[str, Recent] = MappingProxyType({})
) -> list[dict[str, Any]]:
    """Return every workload as `status` shows it."""
    return [
        {
            "name": workload.name,
            "strategy": workload.strategy.value,
            "targets": list(workload.targets),
            "available": list(available_targets(workload, view, now)),
            "default": workload.default,
            "waiting": view.waiting.get(workload.name, 0),
            "recent": _counted(recent.get(workload.name)),
        }
        for workload in view.routes.workloads.values()
    ]


def _counted(recent: Recent | None) -> dict[str, int]:
    counted = recent or Recent()
    return {name: getattr(counted, name) for name in Recent.__struct_fields__}


def degraded_problems(recent: Mapping[str, Recent]) -> list[str]:
    """Return a line for each workload that lately had to say something in place of an answer."""
    return [
        f"workload {name}: no target answered {counted.degraded + counted.failed} of its last {counted.requests} "
        f"requests, {counted.degraded} were given a degraded answer"
        for name, counted in recent.items()
        if counted.degraded + counted.failed
    ]


def history_picture(state: RecorderState) -> dict[str, Any]:
    """Return the history's condition as `status` shows it."""
    return {
        "path": str(state.path),
        "ok": state.ok,
        "cause": state.cause,
        "unsaved_rows": state.unsaved_rows,
        "lost_rows": state.lost_rows,
    }


def problems(view: DispatcherView, state: RecorderState, in_force: InForce, now: float) -> list[str]:
    """Return what is wrong now, the most urgent first: one line each, in words for an operator."""
    lines = [
        f"workload {name['name']} has no available target"
        for name in workload_picture(view, now)
        if not name["available"]
    ]
    lines += [line for health in view.snapshot.targets.values() if (line := _target_problem(health, now)) is not None]
    if not state.ok:
        lines.append(f"history: {state.cause} ({state.unsaved_rows} rows wait, {state.lost_rows} are lost)")
    lines += [f"configuration on disk is invalid, an older one is in force: {line}" for line in in_force.stale]
    return lines


def _target_problem(health: TargetHealth, now: float) -> str | None:
    if health.standing is Standing.COOLING:
        return f"{health.target} is cooling for another {max(0.0, (health.until or now) - now):.0f}s: {health.cause}"
    if health.standing is Standing.PROBATION:
        return f"{health.target} is on probation: {health.cause}"
    if health.last_fault in _MISCONFIGURED and now - (health.last_fault_at or now) < _RECENT_S:
        return f"{health.target} answered {health.last_fault}: check its key and its model's name"
    return None


def route_picture(choice: Choice, view: DispatcherView, base_urls: dict[str, str]) -> dict[str, Any]:
    """Return a choice that was only asked about, in the contract's shape."""
    target = choice.chosen
    provider, model = split_target(target) if target else (None, None)
    health = view.snapshot.targets.get(target) if target else None
    place = view.routes.places.get(target) if target else None
    return {
        "target": target,
        "provider": provider,
        "model": model,
        "base_url": base_urls.get(provider) if provider else None,
        "dialect": place.dialect.value if place else None,
        "decision": choice.reason,
        "expected_latency_ms": _ms(health.expected_s) if health else None,
        "candidates": [_candidate_picture(candidate) for candidate in choice.candidates],
    }


def _candidate_picture(candidate: Candidate) -> dict[str, Any]:
    picture: dict[str, Any] = {"target": candidate.target}
    if candidate.skipped:
        picture["skipped"] = candidate.skipped
    else:
        picture["score"] = candidate.score
        picture["terms"] = dict(candidate.terms)
    return picture


def base_urls(in_force: InForce) -> dict[str, str]:
    """Return where each provider is."""
    return {name: provider.base_url for name, provider in in_force.configuration.providers.items()}
