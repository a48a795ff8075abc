"""What stands in the way of a request at each target of its workload, for a reason that can be read."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from daemon.routing.latency import Silence
from daemon.routing.leases import RouteQuery
from daemon.routing.policy import Routes, Strategy, TargetPlace
from daemon.routing.strategies.strategy import Turn
from probes.policy import Abilities, Dialect
from probes.surfaces import speaks
from state.faults import Fault
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName

__all__ = ["Load", "Obstacle", "obstacles_of"]

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
    sent: Mapping[TargetName, int] = msgspec.field(default_factory=dict)
    """Requests sent to each target since the start."""
    tokens_sent: Mapping[TargetName, int] = msgspec.field(default_factory=dict)
    """Estimated tokens of them."""
    trials: Mapping[TargetName, int] = msgspec.field(default_factory=dict)
    """Requests under way that find out whether a guessed block is over."""


class Obstacle(msgspec.Struct, frozen=True):
    """Why a target cannot take the request, and when that may end."""

    reason: str
    ends_at: float = _NEVER
    fault: Fault | None = None
    """The fault that is behind it, where one is."""


_GONE = Obstacle("not known any more")
_ANY_DIALECT = Dialect.SIMULATED


def obstacles_of(query: RouteQuery, known: tuple[Routes, HealthSnapshot, Load], now: float) -> list[Obstacle | None]:
    """Return what stands in the way of each target of the workload, in its order."""
    routes, snapshot, load = known
    places, healths, providers = routes.places, snapshot.targets, load.providers
    plain, dialect = query.elsewhere and not query.more_than and not query.needs, query.surface.dialect
    plain = plain and query.billing is None and query.workload.max_price is None
    obstacles: list[Obstacle | None] = []
    for target in query.workload.targets:
        place, health = places.get(target), healths.get(target)
        if place is None or health is None:
            obstacles.append(_GONE)
        elif (
            plain
            and health.clear
            and (place.dialect is dialect or place.dialect is _ANY_DIALECT)
            and target not in query.tried
            and providers.get(place.provider, 0) < place.max_in_flight
            and (health.quota is None or _used_up(health, query, load, now) is None)
        ):
            obstacles.append(None)
        else:
            obstacles.append(_obstacle(target, (query, place, health), load, now))
    # A workload with a single target has no choice that could go wrong: there the cooldown is kept, and told.
    if query.desperate and len(obstacles) > 1 and None not in obstacles:
        obstacles = _least_condemned(obstacles, query, known, now)
    if query.workload.strategy != Strategy.PRIORITY:
        return obstacles
    for index, obstacle in enumerate(obstacles):
        fault = None if obstacle is None else obstacle.fault
        if fault is not None and _AS_A_REASON.get(fault, fault) not in query.fallback_on:
            first = query.workload.targets[index]
            behind = Obstacle(f"{first} comes first, and {fault.value} is no reason to fall back")
            return [*obstacles[: index + 1], *(each or behind for each in obstacles[index + 1 :])]
    return obstacles


def _obstacle(
    target: TargetName, asked: tuple[RouteQuery, TargetPlace, TargetHealth], load: Load, now: float
) -> Obstacle | None:
    query, place, health = asked
    return (
        _unsuitable(target, query, place)
        or _refused(health, query, now)
        or _unready(health, now)
        or _unproven(health, query)
        or _used_up(health, query, load, now)
        or _crowded(target, health, place, load)
    )


def _unsuitable(target: TargetName, query: RouteQuery, place: TargetPlace) -> Obstacle | None:
    """Return why the request and the target do not go together, whatever the time."""
    if target in query.tried:
        return Obstacle("already tried")
    if not query.elsewhere and target != query.last_resort:
        return Obstacle("the workload does not fall back on what happened")
    if not speaks(place.dialect, query.surface):
        return Obstacle(f"speaks {place.dialect.value} only")
    if query.billing is not None and place.billing != query.billing and target != query.preference.candidate:
        return Obstacle(f"is paid for by {place.billing or 'no group'}, and cross_billing is not set")
    return _unable(query, place.abilities) or _unaffordable(query, place)


def _unable(query: RouteQuery, abilities: Abilities) -> Obstacle | None:
    if lacking := query.needs.features.intersection(abilities.lacks):
        return Obstacle(f"lacks {', '.join(sorted(lacking))}")
    window = abilities.context_window
    if window is not None and query.needs.tokens > window:
        return Obstacle(f"takes {window} tokens, the request has about {query.needs.tokens}")
    if query.more_than and (window is None or window <= query.more_than):
        return Obstacle(f"is not known to take more than {query.more_than} tokens")
    return None


def _unaffordable(query: RouteQuery, place: TargetPlace) -> Obstacle | None:
    """Return why nobody wants to pay for the request there."""
    most, price = query.workload.max_price, place.price
    if most is None:
        return None
    if price is None:
        return Obstacle("its price is not known to be within max_price")
    if price.input > most.input or price.output > most.output:
        return Obstacle(f"asks ${price.input:g} and ${price.output:g} a million tokens, more than max_price")
    return None


def _refused(health: TargetHealth, query: RouteQuery, now: float) -> Obstacle | None:
    """Return the refusal that keeps those away who fall back on it: everyone else is to see it."""
    until, fault = health.refused_until, health.refused_by
    if until is None or until <= now or fault not in query.fallback_on:
        return None
    return Obstacle(f"refused our key or its model for {until - now:.1f}s: {fault}", until, fault)


def _unready(health: TargetHealth, now: float) -> Obstacle | None:
    if health.drained:
        reason = f"drained: {health.drain_reason}" if health.drain_reason else "drained"
        return Obstacle(reason, _NEVER if health.drained_until is None else health.drained_until)
    if health.standing is Standing.PROBATION and health.trial_from is not None and health.trial_from > now:
        return Obstacle("on probation, no canary has vouched for it yet", health.trial_from, health.fell_on)
    if health.standing is Standing.COOLING:
        until = health.until or now
        return Obstacle(f"cooling for {max(0.0, until - now):.1f}s: {health.cause}", until, health.fell_on)
    until = health.blocked_until or now
    if until <= now:
        return None
    why = _BLOCKED_AS.get(health.blocked_by or Fault.RATE_LIMITED, "blocked")
    return Obstacle(f"{why} for {until - now:.1f}s", until, health.blocked_by)


def _unproven(health: TargetHealth, query: RouteQuery) -> Obstacle | None:
    """Return why a hedge does not go there: it is to save time, and not to find out."""
    if query.hedges is None or health.standing is Standing.HEALTHY:
        return None
    return Obstacle(f"{health.standing.value}: no place for a hedge")


def _used_up(health: TargetHealth, query: RouteQuery, load: Load, now: float) -> Obstacle | None:
    """Return why a request would run into the provider's limit, by what its answers told or a refusal did not tell."""
    target = health.target
    if health.unsure and load.trials.get(target):
        return Obstacle("rate limited lately, its trial is under way", _SOON, Fault.RATE_LIMITED)
    if health.quota is None:
        return None
    sent, tokens_sent = load.sent.get(target, 0), load.tokens_sent.get(target, 0)
    if health.quota.has_room(sent, tokens_sent, query.tokens):
        return None
    ready_at, reset_at = health.quota.opening(sent, tokens_sent, query.tokens)
    if ready_at <= now:
        return None
    if reset_at <= now:
        return Obstacle("rate limit reset, its first answer is awaited", _SOON, Fault.RATE_LIMITED)
    # Where more is under way than was left, its answers come first and tell more.
    ends_at = min(ready_at, reset_at)
    return Obstacle(f"rate limit reached: resets in {ends_at - now:.1f}s", ends_at, Fault.RATE_LIMITED)


def _crowded(target: TargetName, health: TargetHealth, place: TargetPlace, load: Load) -> Obstacle | None:
    if load.providers.get(place.provider, 0) >= place.max_in_flight:
        return Obstacle(f"full: {place.max_in_flight} in flight", _SOON)
    in_flight = load.targets.get(target, 0)
    if health.standing is Standing.PROBATION and _is_tried(target, health, load):
        return Obstacle("on probation, its trial is under way", _SOON, health.fell_on)
    if health.limit is not None and in_flight >= health.limit:
        return Obstacle(f"returning slowly: {in_flight} in flight", _SOON)
    return None


def _least_condemned(
    obstacles: list[Obstacle | None], query: RouteQuery, known: tuple[Routes, HealthSnapshot, Load], now: float
) -> list[Obstacle | None]:
    """Return the obstacles without that of the ejected target that was condemned first: one, rather than none."""
    routes, snapshot, load = known
    condemned: list[tuple[float, int]] = []
    for index, target in enumerate(query.workload.targets):
        health, place = snapshot.targets.get(target), routes.places.get(target)
        if health is None or place is None or health.drained or not _is_ejected(health, now):
            continue
        if not (_unsuitable(target, query, place) or _refused(health, query, now) or _is_tried(target, health, load)):
            condemned.append((health.since, index))
    if condemned:
        obstacles[min(condemned)[1]] = None
    return obstacles


def _is_tried(target: TargetName, health: TargetHealth, load: Load) -> bool:
    """Return whether a request that was sent since the target took its standing has no first token yet."""
    return any(each.since >= health.since and each.until == _NEVER for each in load.silences.get(target, ()))


def _is_ejected(health: TargetHealth, now: float) -> bool:
    waits = health.trial_from is not None and health.trial_from > now
    return health.standing is Standing.COOLING or (health.standing is Standing.PROBATION and waits)
