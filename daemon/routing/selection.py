"""Choosing a target: every candidate is either scored or skipped for a reason that can be read."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from daemon.routing.leases import Candidate, Choice, RouteQuery
from daemon.routing.policy import Routes, Strategy, TargetPlace
from daemon.routing.strategies import STRATEGIES, Contender, Turn
from probes.policy import Abilities
from probes.surfaces import speaks
from state.faults import Fault
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName

__all__ = ["Load", "choose", "earliest_ready"]

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
    sent: Mapping[TargetName, int] = msgspec.field(default_factory=dict)
    """Requests sent to each target since the start."""
    tokens_sent: Mapping[TargetName, int] = msgspec.field(default_factory=dict)
    """Estimated tokens of them."""
    trials: Mapping[TargetName, int] = msgspec.field(default_factory=dict)
    """Requests under way that find out whether a guessed block is over."""


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
    scored = STRATEGIES[workload.strategy](contenders, workload, load.turn)
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
        reason=_reason(workload.strategy, best, primary, candidates),
        candidates=tuple(candidates),
        seed=load.turn.seed,
        primary=primary,
    )


def earliest_ready(query: RouteQuery, routes: Routes, snapshot: HealthSnapshot, load: Load, now: float) -> float | None:
    """Return when some target may take the request: `now` where one could, or any release would do; None for never."""
    obstacles = _obstacles(query, (routes, snapshot, load), now)
    ends = [now if obstacle is None else max(now, obstacle.ends_at) for obstacle in obstacles]
    return min((end for end in ends if end < _NEVER), default=None)


def _sorted_out(
    query: RouteQuery, known: tuple[Routes, HealthSnapshot, Load], now: float
) -> tuple[list[Candidate], list[Contender]]:
    """Return the skipped candidates, and those that could take the request."""
    _, snapshot, load = known
    skipped: list[Candidate] = []
    contenders: list[Contender] = []
    for index, (target, obstacle) in enumerate(zip(query.workload.targets, _obstacles(query, known, now), strict=True)):
        if obstacle is None:
            contenders.append(Contender(index, snapshot.targets[target], load.targets.get(target, 0)))
        else:
            skipped.append(Candidate(target=target, skipped=obstacle.reason))
    others = [contender for contender in contenders if contender.health.target != query.last_resort]
    if query.last_resort is None or not others or len(others) == len(contenders):
        return skipped, contenders
    return [*skipped, Candidate(target=query.last_resort, skipped="failed already, and there are others")], others


def _obstacles(query: RouteQuery, known: tuple[Routes, HealthSnapshot, Load], now: float) -> list[_Obstacle | None]:
    """Return what stands in the way of each target of the workload, in its order."""
    obstacles = [_obstacle(target, query, known, now) for target in query.workload.targets]
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
        or _used_up(health, query, load, now)
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
    if health.standing is Standing.COOLING:
        until = health.until or now
        return _Obstacle(f"cooling for {max(0.0, until - now):.1f}s: {health.cause}", until, health.fell_on)
    until = health.blocked_until or now
    if until <= now:
        return None
    why = _BLOCKED_AS.get(health.blocked_by or Fault.RATE_LIMITED, "blocked")
    return _Obstacle(f"{why} for {until - now:.1f}s", until, health.blocked_by)


def _used_up(health: TargetHealth, query: RouteQuery, load: Load, now: float) -> _Obstacle | None:
    """Return why a request would run into the provider's limit, by what its answers told or a refusal did not tell."""
    target = health.target
    if health.unsure and load.trials.get(target):
        return _Obstacle("rate limited lately, its trial is under way", _SOON, Fault.RATE_LIMITED)
    if health.quota is None:
        return None
    sent, tokens_sent = load.sent.get(target, 0), load.tokens_sent.get(target, 0)
    if health.quota.has_room(sent, tokens_sent, query.tokens):
        return None
    ready_at, reset_at = health.quota.opening(sent, tokens_sent, query.tokens)
    if ready_at <= now:
        return None
    if reset_at <= now:
        return _Obstacle("rate limit reset, its first answer is awaited", _SOON, Fault.RATE_LIMITED)
    # Where more is under way than was left, its answers come first and tell more.
    ends_at = min(ready_at, reset_at)
    return _Obstacle(f"rate limit reached: resets in {ends_at - now:.1f}s", ends_at, Fault.RATE_LIMITED)


def _crowded(target: TargetName, health: TargetHealth, place: TargetPlace, load: Load) -> _Obstacle | None:
    if load.providers.get(place.provider, 0) >= place.max_in_flight:
        return _Obstacle(f"full: {place.max_in_flight} in flight", _SOON)
    if health.standing is Standing.PROBATION and load.targets.get(target, 0):
        return _Obstacle("on probation, its trial is under way", _SOON, health.fell_on)
    return None


def _primary(query: RouteQuery, routes: Routes) -> TargetName | None:
    for target in query.workload.targets:
        place = routes.places.get(target)
        if place is not None and speaks(place.dialect, query.surface):
            return target
    return None


def _reason(strategy: Strategy, best: Contender | None, primary: TargetName | None, candidates: list[Candidate]) -> str:
    if best is None:
        return "no target is available"
    if primary not in {None, best.health.target}:
        why = next((candidate.skipped for candidate in candidates if candidate.target == primary), "")
        return f"{primary} is passed over: {why}"
    if best.health.standing is Standing.PROBATION:
        return "a trial after its cooldown"
    if strategy is Strategy.LOWEST_LATENCY:
        expected = best.health.expected_s
        return "nothing is known of it yet" if expected is None else f"lowest latency, {expected * 1e3:.0f} ms expected"
    return {Strategy.PRIORITY: "first in order", Strategy.ROUND_ROBIN: "its turn"}.get(strategy, "drawn by weight")
