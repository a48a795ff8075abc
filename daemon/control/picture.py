"""What `status` shows: the dispatcher's view, the recorder's state and the configuration in force, as plain values.

Times are given as what is left of them, in seconds, and latencies in milliseconds: nobody outside has our clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from daemon.alerts.watch import Recent
from daemon.in_force import InForce
from daemon.routing.availability import available_targets
from daemon.routing.leases import Candidate, Choice, DispatcherView
from probes.policy import ProbeSetting, Provider
from state.faults import Fault
from state.history.charges import BudgetRow
from state.history.condition import RecorderState
from state.latency.level import variance_at
from state.quota import Account
from state.standing import Standing, TargetHealth
from state.targets import split_target

__all__ = [
    "base_urls",
    "budgets_picture",
    "canaries_picture",
    "degraded_problems",
    "history_picture",
    "problems",
    "route_picture",
    "target_picture",
    "workload_picture",
]

_RECENT_S = 600.0
_MOST_BUDGETS = 100
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
        "estimate": _estimate(health, now),
        "expected_ms": _ms(health.expected_s),
        "p50_ms": _ms(health.p50_s),
        "p95_ms": _ms(health.p95_s),
        "samples": health.samples,
        "success_ratio": None if health.success_ratio is None else round(health.success_ratio, 4),
        "in_flight": view.in_flight.get(health.target, 0),
        "max_in_flight": place.max_in_flight if place else None,
        "cooldown_s": _left(health.until, now) if health.standing is Standing.COOLING else None,
        "rate_limited_s": _left(health.blocked_until, now),
        "headroom": _headroom(health, view, now),
        "last_fault": health.last_fault.value if health.last_fault else None,
        "page": _page(health, now),
    }


def _page(health: TargetHealth, now: float) -> dict[str, Any] | None:
    """Return what the provider's status page says; None where nobody reads one, or it was long ago."""
    page = health.page
    if page is None or page.until <= now:
        return None
    return {"level": page.level, "text": page.text, "age_s": round(now - page.at, 1)}


def _estimate(health: TargetHealth, now: float) -> dict[str, Any] | None:
    """Return what is believed of a target's latency, and how surely; None where nothing is known of it."""
    first, pace, knee = health.estimator.first, health.estimator.pace, health.estimator.knee
    if not first.count:
        return None
    return {
        "first_token_ms": _ms(math.exp(first.mean) * first.tail),
        "uncertainty": round(math.exp(math.sqrt(variance_at(first, now))) - 1.0, 3),
        "tokens_per_second": round(math.exp(-pace.mean) / pace.tail, 1) if pace.count else None,
        "errors": round(health.reliability.error_share(now), 4),
        "at_once": round(knee.at_once, 1) if knee.known else None,
        "cold_start_ms": _ms(health.estimator.cold.extra_s or None),
        "slow_start_limit": health.limit,
    }


def canaries_picture(providers: Mapping[str, Provider], spent_usd: Callable[[str], float]) -> list[dict[str, Any]]:
    """Return what the canaries of each provider have cost within 24 hours, and may cost, in dollars."""
    return [
        {"provider": name, "spent_usd": round(spent_usd(name), 6), "usd_per_day": provider.probe.usd_per_day}
        for name, provider in providers.items()
        if provider.probe.kind is ProbeSetting.CANARY
    ]


def budgets_picture(rows: Iterable[BudgetRow]) -> list[dict[str, Any]]:
    """Return how limits in dollars stand, those of which most is used first, and no more than a person looks at."""
    told: list[dict[str, Any]] = [
        {
            "limit": row.name,
            "subject": row.subject,
            "period": row.period,
            "limit_usd": row.limit_usd,
            "spent_usd": round(row.spent_usd, 6),
            "reserved_usd": round(row.reserved_usd, 6),
            "ends_unix": row.to_unix,
            "used": round((row.spent_usd + row.reserved_usd) / row.limit_usd, 4) if row.limit_usd else 1.0,
        }
        for row in rows
    ]
    return sorted(told, key=lambda each: -each["used"])[:_MOST_BUDGETS]


def _headroom(health: TargetHealth, view: DispatcherView, now: float) -> dict[str, Any] | None:
    """Return what is left of the provider's limits, None where it told of none."""
    quota = health.quota
    if quota is None:
        return None
    sent, tokens_sent = view.sent.get(health.target, 0), view.tokens_sent.get(health.target, 0)
    return {
        "requests": _account(quota.requests, quota.left(sent, now), now),
        "tokens": _account(quota.tokens, quota.left_tokens(tokens_sent, now), now),
    }


def _account(account: Account | None, left: float, now: float) -> dict[str, float | None] | None:
    if account is None:
        return None
    return {"left": left, "limit": account.limit, "resets_in_s": _left(account.reset_at, now)}


def workload_picture(
    view: DispatcherView, now: float, recent: Mapping[str, Recent] = MappingProxyType({})
) -> list[dict[str, Any]]:
    """Return every workload as `status` shows it."""
    return [
        {
            "name": workload.name,
            "strategy": workload.strategy,
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
        "bytes": state.file_bytes,
        "wal_bytes": state.wal_bytes,
        "set_aside": None if state.aside is None else str(state.aside),
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
        "expected_latency_ms": _ms(_expected_s(choice)) if health else None,
        "candidates": [_candidate_picture(candidate) for candidate in choice.candidates],
    }


def _expected_s(choice: Choice) -> float | None:
    terms = next((each.terms for each in choice.candidates if each.target == choice.chosen), {})
    return terms.get("expected_s")


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
