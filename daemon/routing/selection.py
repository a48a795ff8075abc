"""Choosing a target: every candidate is either scored or skipped for a reason that can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from daemon.routing.latency import Contender, Scored, Silence
from daemon.routing.leases import Candidate, Choice, RouteQuery
from daemon.routing.obstacles import Load, obstacles_of
from daemon.routing.policy import Routes, Strategy
from daemon.routing.strategies.known import strategy_named
from daemon.routing.strategies.strategy import Moment, OrdersTargets
from probes.surfaces import speaks
from state.latency.lengths import Lengths
from state.latency.level import p99
from state.standing import HealthSnapshot, Standing
from state.targets import TargetName

__all__ = ["Load", "choose", "earliest_ready"]

_NO_EXPERIENCE = Lengths()
_NO_TERMS: Final[Mapping[str, float]] = {}
_NOBODY: Final[tuple[Silence, ...]] = ()
_NEVER = float("inf")
_THRIFT: Final = "a limit is nearly used up"
_GROUP: Final = 1e8
"""Further than any score of a strategy reaches: what comes first by what the request is, comes first."""


def choose(query: RouteQuery, routes: Routes, snapshot: HealthSnapshot, load: Load, now: float) -> Choice:
    """Return the choice for `query` at `now`, monotonic seconds; `chosen` is None where nothing is available."""
    workload = query.workload
    candidates, contenders = _sorted_out(query, (routes, snapshot, load), now)
    tokens = _tokens(query, snapshot)
    moment = Moment(workload, load.turn, now, tokens, query.tokens)
    strategy = strategy_named(Strategy.CHEAPEST if query.frugal else workload.strategy)
    scored = _preferred(query, contenders, strategy.scored(contenders, moment))
    best: Contender | None = None
    lowest, best_terms = _NEVER, dict[str, float]()
    for contender, (score, terms) in zip(contenders, scored, strict=True):
        candidates.append(Candidate(contender.health.target, score, terms))
        if best is None or score < lowest:
            best, lowest, best_terms = contender, score, terms
    chosen = best.health.target if best else None
    if best is not None and "first_s" in best_terms:
        best_terms["first_p99_s"] = p99(best.health.estimator.first, now)
    primary = _primary(query, routes, chosen)
    return Choice(
        chosen=chosen,
        strategy=workload.strategy,
        reason=_escalated(query) + _reason(query, strategy, (best, best_terms, primary), candidates, now),
        candidates=tuple(candidates),
        seed=load.turn.seed,
        answer_tokens=tokens,
        primary=primary,
    )


def earliest_ready(query: RouteQuery, routes: Routes, snapshot: HealthSnapshot, load: Load, now: float) -> float | None:
    """Return when some target may take the request: `now` where one could, or any release would do; None for never."""
    obstacles = obstacles_of(query, (routes, snapshot, load), now)
    ends = [now if obstacle is None else max(now, obstacle.ends_at) for obstacle in obstacles]
    return min((end for end in ends if end < _NEVER), default=None)


def _sorted_out(
    query: RouteQuery, known: tuple[Routes, HealthSnapshot, Load], now: float
) -> tuple[list[Candidate], list[Contender]]:
    """Return the skipped candidates, and those that could take the request."""
    routes, snapshot, load = known
    healths, under_way, sent_at, silences = snapshot.targets, load.targets, load.sent_at, load.silences
    skipped: list[Candidate] = []
    contenders: list[Contender] = []
    targets = query.workload.targets
    for index, obstacle in enumerate(obstacles_of(query, known, now)):
        target = targets[index]
        if obstacle is not None:
            skipped.append(Candidate(target, None, _NO_TERMS, obstacle.reason))
            continue
        idle_s = now - sent_at.get(target, now)
        in_flight, silent = under_way.get(target, 0), silences.get(target, _NOBODY)
        price = routes.places[target].price
        contenders.append(Contender(index, healths[target], in_flight, silent, idle_s, price))
    if query.last_resort is None:
        return skipped, contenders
    others = [contender for contender in contenders if contender.health.target != query.last_resort]
    if not others or len(others) == len(contenders):
        return skipped, contenders
    return [*skipped, Candidate(target=query.last_resort, skipped="failed already, and there are others")], others


def _tokens(query: RouteQuery, snapshot: HealthSnapshot) -> float:
    if not query.surface.generates:
        return 0.0
    return snapshot.lengths.get(query.workload.name, _NO_EXPERIENCE).expected(query.max_tokens)


def _primary(query: RouteQuery, routes: Routes, chosen: TargetName | None) -> TargetName | None:
    """Return what would be chosen were every target ready and free."""
    groups = query.preference.groups
    if query.workload.strategy == Strategy.PRIORITY and not groups and not query.frugal:
        first = query.workload.targets
    elif groups and chosen not in groups[0]:
        first = groups[0]
    else:
        return chosen
    for target in first:
        place = routes.places.get(target)
        if place is not None and speaks(place.dialect, query.surface):
            return target
    return None


def _preferred(query: RouteQuery, contenders: list[Contender], scored: list[Scored]) -> list[Scored]:
    """Return the scores with what the request is before all that is known of the targets."""
    groups = query.preference.groups
    if not groups:
        return scored
    return [
        _behind(_group_of(contender.health.target, groups), each)
        for contender, each in zip(contenders, scored, strict=True)
    ]


def _group_of(target: TargetName, groups: tuple[tuple[TargetName, ...], ...]) -> int:
    return next((number for number, group in enumerate(groups) if target in group), len(groups))


def _behind(group: int, scored: Scored) -> Scored:
    score, terms = scored
    terms["group"] = float(group)
    return score + group * _GROUP, terms


def _escalated(query: RouteQuery) -> str:
    return f"escalated: {query.escalated}; " if query.escalated else ""


def _reason(
    query: RouteQuery,
    strategy: OrdersTargets,
    choice: tuple[Contender | None, dict[str, float], TargetName | None],
    seen: list[Candidate],
    now: float,
) -> str:
    best, terms, primary = choice
    if best is None:
        return "no target is available"
    if query.hedges is not None:
        return f"a hedge: {query.hedges.own.target} has said nothing for {now - query.hedges.since:.2f} s"
    if best.health.standing is Standing.COOLING:
        return "all are ejected, and it for the longest time"
    target = best.health.target
    if primary is not None and primary != target:
        why = next((candidate.skipped for candidate in seen if candidate.target == primary), "")
        return "; ".join(filter(None, (f"{primary} is passed over: {why}", query.preference.why)))
    if best.health.standing is Standing.PROBATION:
        return "; ".join(filter(None, ("a trial after its cooldown", query.preference.why)))
    thrift = _THRIFT if query.frugal else ""
    return "; ".join(filter(None, (query.preference.why, thrift, strategy.reason(terms))))
