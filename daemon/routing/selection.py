"""Choosing a target: every candidate is either scored or skipped for a reason that can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from daemon.routing.latency import Contender, Silence
from daemon.routing.leases import Candidate, Choice, DispatcherView, RouteQuery
from daemon.routing.policy import Routes, Strategy, TargetPlace, Workload
from daemon.routing.strategies import STRATEGIES, Moment, Turn
from probes.policy import Abilities
from probes.surfaces import Surface, speaks
from state.faults import Fault
from state.latency.lengths import Lengths
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName, provider_of

__all__ = ["Load", "available_targets", "choose", "earliest_ready", "workloads_without_target"]

_NO_EXPERIENCE = Lengths()
_USUAL = (Surface.CHAT, Surface.MESSAGES)
"""What is asked for most in each dialect."""
_SOON = -1.0
_NEVER = float("inf")
_AS_A_REASON = {Fault.CUT: Fault.BAD_REPLY}
"""A stream that broke is past falling back; a target that was ejected for breaking them gives bad replies."""
_BLOCKED_AS = {Fault.RATE_LIMITED: "rate limited", Fault.QUOTA: "out of quota", Fault.OVERLOADED: "overloaded"}


class Load(msgspec.Struct, frozen=True):
    """What is under way, as the dispatcher counts it; only read."""

    targets: Mapping[TargetName, int]
    providers: Mapping[str, int]
    turn: Turn = Turn()
    silences: Mapping[TargetName, tuple[Silence, ...]] = msgspec.field(default_factory=dict)
    sent_at: Mapping[TargetName, float] = msgspec.field(default_factory=dict)
    """When a request was last sent to each."""


class _Obstacle(msgspec.Struct, frozen=True):
    """Why a target cannot take the request, and when that may end."""

    reason: str
    ends_at: float = _NEVER
    fault: Fault | None = None
    """The fault that is behind it, where one is."""


def choose(query: RouteQuery, routes: Routes, snapshot: HealthSnapshot, load: Load, now: float) -> Choice:
    """Return the choice for `query` at `now`, monotonic seconds; `chosen` is None where nothing is available."""
    workload = query.workload
    candidates, contenders = _sorted_out(query, (routes, snapshot, load), now)
    moment = Moment(workload, load.turn, now, _tokens(query, snapshot))
    scored = STRATEGIES[workload.strategy](contenders, moment)
    best: Contender | None = None
    lowest = _NEVER
    for contender, (score, terms) in zip(contenders, scored, strict=True):
        candidates.append(Candidate(target=contender.health.target, score=score, terms=terms))
        if best is None or score < lowest:
            best, lowest = contender, score
    chosen = best.health.target if best else None
    primary = _primary(query, routes) if workload.strategy is Strategy.PRIORITY else chosen
    return Choice(
        chosen=chosen,
        strategy=workload.strategy,
        reason=_reason(query, best, primary, candidates),
        candidates=tuple(candidates),
        seed=load.turn.seed,
        primary=primary,
    )


def earliest_ready(query: RouteQuery, routes: Routes, snapshot: HealthSnapshot, load: Load, now: float) -> float | None:
    """Return when some target may take the request: `now` where one could, or any release would do; None for never."""
    obstacles = _obstacles(query, (routes, snapshot, load), now)
    ends = [now if obstacle is None else max(now, obstacle.ends_at) for obstacle in obstacles]
    return min((end for end in ends if end < _NEVER), default=None)


def available_targets(workload: Workload, view: DispatcherView, now: float) -> tuple[TargetName, ...]:
    """Return the targets that would take a request of `workload` at `now`, in its order.

    A request that has tried nothing and needs nothing special, in whichever dialect suits the target.
    """
    providers: Counter[str] = Counter()
    for target, count in view.in_flight.items():
        providers[provider_of(target)] += count
    known = (view.routes, view.snapshot, Load(view.in_flight, providers))
    free: set[TargetName] = set()
    for surface in _USUAL:
        query = RouteQuery(request_id="", workload=workload, surface=surface, fallback_on=workload.fallback_on)
        obstacles = _obstacles(query, known, now)
        free.update(target for target, each in zip(workload.targets, obstacles, strict=True) if each is None)
    return tuple(target for target in workload.targets if target in free)


def workloads_without_target(view: DispatcherView, now: float) -> tuple[str, ...]:
    """Return the names of the workloads that could serve nothing at `now`."""
    return tuple(name for name, workload in view.routes.workloads.items() if not available_targets(workload, view, now))


def _sorted_out(
    query: RouteQuery, known: tuple[Routes, HealthSnapshot, Load], now: float
) -> tuple[list[Candidate], list[Contender]]:
    """Return the skipped candidates, and those that could take the request."""
    _, snapshot, load = known
    skipped: list[Candidate] = []
    contenders: list[Contender] = []
    for index, (target, obstacle) in enumerate(zip(query.workload.targets, _obstacles(query, known, now), strict=True)):
        if obstacle is None:
            idle_s = now - load.sent_at.get(target, now)
            silences, in_flight = load.silences.get(target, ()), load.targets.get(target, 0)
            contenders.append(Contender(index, snapshot.targets[target], in_flight, silences, idle_s))
        else:
            skipped.append(Candidate(target=target, skipped=obstacle.reason))
    others = [contender for contender in contenders if contender.health.target != query.last_resort]
    if query.last_resort is None or not others or len(others) == len(contenders):
        return skipped, contenders
    return [*skipped, Candidate(target=query.last_resort, skipped="failed already, and there are others")], others


def _obstacles(query: RouteQuery, known: tuple[Routes, HealthSnapshot, Load], now: float) -> list[_Obstacle | None]:
    """Return what stands in the way of each target of the workload, in its order."""
    obstacles = [_obstacle(target, query, known, now) for target in query.workload.targets]
    # A workload with a single target has no choice that could go wrong: there the cooldown is kept, and told.
    if query.desperate and len(obstacles) > 1 and None not in obstacles:
        obstacles = _least_condemned(obstacles, query, known, now)
    if query.workload.strategy is not Strategy.PRIORITY:
        return obstacles
    for index, obstacle in enumerate(obstacles):
        fault = None if obstacle is None else obstacle.fault
        if fault is not None and _AS_A_REASON.get(fault, fault) not in query.fallback_on:
            first = query.workload.targets[index]
            behind = _Obstacle(f"{first} comes first, and {fault.value} is no reason to fall back")
            return [*obstacles[: index + 1], *(each or behind for each in obstacles[index + 1 :])]
    return obstacles


def _obstacle(
    target: TargetName, query: RouteQuery, known: tuple[Routes, HealthSnapshot, Load], now: float
) -> _Obstacle | None:
    routes, snapshot, load = known
    place = routes.places.get(target)
    health = snapshot.targets.get(target)
    if place is None or health is None:
        return _Obstacle("not known any more")
    return (
        _unsuitable(target, query, place)
        or _refused(health, query, now)
        or _unready(health, now)
        or _crowded(target, health, place, load)
    )


def _unsuitable(target: TargetName, query: RouteQuery, place: TargetPlace) -> _Obstacle | None:
    """Return why the request and the target do not go together, whatever the time."""
    if target in query.tried:
        return _Obstacle("already tried")
    if not query.elsewhere and target != query.last_resort:
        return _Obstacle("the workload does not fall back on what happened")
    if not speaks(place.dialect, query.surface):
        return _Obstacle(f"speaks {place.dialect.value} only")
    return _unable(query, place.abilities)


def _unable(query: RouteQuery, abilities: Abilities) -> _Obstacle | None:
    if lacking := query.needs.features.intersection(abilities.lacks):
        return _Obstacle(f"lacks {', '.join(sorted(lacking))}")
    window = abilities.context_window
    if window is not None and query.needs.tokens > window:
        return _Obstacle(f"takes {window} tokens, the request has about {query.needs.tokens}")
    if query.more_than and (window is None or window <= query.more_than):
        return _Obstacle(f"is not known to take more than {query.more_than} tokens")
    return None


def _refused(health: TargetHealth, query: RouteQuery, now: float) -> _Obstacle | None:
    """Return the refusal that keeps those away who fall back on it: everyone else is to see it."""
    until, fault = health.refused_until, health.refused_by
    if until is None or until <= now or fault not in query.fallback_on:
        return None
    return _Obstacle(f"refused our key or its model for {until - now:.1f}s: {fault}", until, fault)


def _unready(health: TargetHealth, now: float) -> _Obstacle | None:
    if health.drained:
        reason = f"drained: {health.drain_reason}" if health.drain_reason else "drained"
        return _Obstacle(reason, _NEVER if health.drained_until is None else health.drained_until)
    if health.standing is Standing.PROBATION and health.trial_from is not None and health.trial_from > now:
        return _Obstacle("on probation, no canary has vouched for it yet", health.trial_from, health.fell_on)
    if health.standing is Standing.COOLING:
        until = health.until or now
        return _Obstacle(f"cooling for {max(0.0, until - now):.1f}s: {health.cause}", until, health.fell_on)
    until = health.blocked_until or now
    if until <= now:
        return None
    why = _BLOCKED_AS.get(health.blocked_by or Fault.RATE_LIMITED, "blocked")
    return _Obstacle(f"{why} for {until - now:.1f}s", until, health.blocked_by)


def _crowded(target: TargetName, health: TargetHealth, place: TargetPlace, load: Load) -> _Obstacle | None:
    if load.providers.get(place.provider, 0) >= place.max_in_flight:
        return _Obstacle(f"full: {place.max_in_flight} in flight", _SOON)
    in_flight = load.targets.get(target, 0)
    if health.standing is Standing.PROBATION and in_flight:
        return _Obstacle("on probation, its trial is under way", _SOON, health.fell_on)
    if health.limit is not None and in_flight >= health.limit:
        return _Obstacle(f"returning slowly: {in_flight} in flight", _SOON)
    return None


def _least_condemned(
    obstacles: list[_Obstacle | None], query: RouteQuery, known: tuple[Routes, HealthSnapshot, Load], now: float
) -> list[_Obstacle | None]:
    """Return the obstacles without that of the ejected target that was condemned first: one, rather than none."""
    routes, snapshot, load = known
    condemned: list[tuple[float, int]] = []
    for index, target in enumerate(query.workload.targets):
        health, place = snapshot.targets.get(target), routes.places.get(target)
        if health is None or place is None or health.drained or not _is_ejected(health, now):
            continue
        if not (_unsuitable(target, query, place) or _refused(health, query, now) or load.targets.get(target, 0)):
            condemned.append((health.since, index))
    if condemned:
        obstacles[min(condemned)[1]] = None
    return obstacles


def _is_ejected(health: TargetHealth, now: float) -> bool:
    waits = health.trial_from is not None and health.trial_from > now
    return health.standing is Standing.COOLING or (health.standing is Standing.PROBATION and waits)


def _tokens(query: RouteQuery, snapshot: HealthSnapshot) -> float:
    if not query.surface.generates:
        return 0.0
    return snapshot.lengths.get(query.workload.name, _NO_EXPERIENCE).expected(query.max_tokens)


def _primary(query: RouteQuery, routes: Routes) -> TargetName | None:
    for target in query.workload.targets:
        place = routes.places.get(target)
        if place is not None and speaks(place.dialect, query.surface):
            return target
    return None


def _reason(query: RouteQuery, best: Contender | None, primary: TargetName | None, candidates: list[Candidate]) -> str:
    if best is None:
        return "no target is available"
    if best.health.standing is Standing.COOLING:
        return "all are ejected, and it for the longest time"
    if primary not in {None, best.health.target}:
        why = next((candidate.skipped for candidate in candidates if candidate.target == primary), "")
        return f"{primary} is passed over: {why}"
    if best.health.standing is Standing.PROBATION:
        return "a trial after its cooldown"
    strategy = query.workload.strategy
    if strategy is Strategy.LOWEST_LATENCY:
        terms = next(each.terms for each in reversed(candidates) if each.target == best.health.target)
        known = f"lowest latency, {terms['expected_s'] * 1e3:.0f} ms expected"
        return "nothing is known of it yet" if "unknown" in terms else known
    return {Strategy.PRIORITY: "first in order", Strategy.ROUND_ROBIN: "its turn"}.get(strategy, "drawn by weight")
