"""Choosing: strategies, obstacles, what comes next, and what a name means."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.routing.availability import available_targets, workloads_without_target
from daemon.routing.latency import Silence
from daemon.routing.leases import DispatcherView, RouteQuery
from daemon.routing.naming import UnknownModel, known_names, resolve
from daemon.routing.policy import Routes, Strategy, TargetPlace, Workload
from daemon.routing.selection import Load, choose, earliest_ready
from daemon.routing.strategies.strategy import Turn
from probes.policy import Dialect
from probes.surfaces import Surface
from state.faults import DEFAULT_FALLBACK_ON, Fault
from state.latency.estimator import Estimator
from state.latency.level import Level
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName, provider_of

_NOW = 1000.0
A, B, C = (TargetName(f"{name}/m") for name in "abc")


_TRIED = Load({A: 1}, {"a": 1}, silences={A: (Silence(_NOW),)})


def _routes(workload: Workload, **dialects: Dialect) -> Routes:
    places = {
        target: TargetPlace(
            provider=provider_of(target),
            dialect=dialects.get(provider_of(target), Dialect.OPENAI),
            max_in_flight=2,
        )
        for target in (A, B, C)
    }
    return Routes(workloads={workload.name: workload}, places=places)


def _workload(strategy: Strategy = Strategy.LOWEST_LATENCY, **more: object) -> Workload:
    return Workload(**{"name": "w", "targets": (A, B, C), "strategy": strategy, **more})


def _healthy(target: TargetName, first_s: float = 1.0, **more: object) -> TargetHealth:
    level = Level(math.log(first_s), variance=0.0, tail=1.0, at=_NOW, count=9)
    estimator = Estimator(first=level, pace=Level(math.log(1e-9), variance=0.0, at=_NOW, count=9))
    return TargetHealth(**{"target": target, "standing": Standing.HEALTHY, "estimator": estimator, **more})


def _choose(workload: Workload, *healths: TargetHealth, load: Load | None = None, **more: object):  # noqa: ANN202
    known = {target: _healthy(target) for target in (A, B, C)} | {health.target: health for health in healths}
    query = RouteQuery(**{"request_id": "r", "workload": workload, "surface": Surface.CHAT, **more})
    return choose(query, _routes(workload), HealthSnapshot(targets=known), load or Load({}, {}), _NOW)


def test_the_lowest_expected_latency_wins() -> None:
    """Law: among healthy targets the fastest is chosen, wherever it stands in the list."""
    choice = _choose(_workload(), _healthy(A, 0.9), _healthy(B, 0.2), _healthy(C, 0.5))
    assert choice.chosen == B
    assert "200 ms" in choice.reason


def test_a_target_on_probation_gets_its_trial_before_faster_ones() -> None:
    """Law: who has served its cooldown is tried again, or it would never come back."""
    probation = _healthy(C, 9.0, standing=Standing.PROBATION)
    assert _choose(_workload(), probation).chosen == C
    assert _choose(_workload(), probation, load=Load({C: 1}, {"c": 1}, silences={C: (Silence(_NOW),)})).chosen != C


def test_an_unproven_target_is_tried_by_one_request_and_not_by_all() -> None:
    """Law: exploring is bounded: while one request finds out, the others take the proven."""
    unproven = TargetHealth(target=B)
    assert _choose(_workload(), unproven).chosen == B
    assert _choose(_workload(), unproven, load=Load({B: 1}, {"b": 1})).chosen in {A, C}


@pytest.mark.parametrize(
    ("health", "load", "why"),
    [
        (
            _healthy(A, standing=Standing.COOLING, until=_NOW + 41, cause="3 timeouts"),
            None,
            "cooling for 41.0s: 3 time",
        ),
        (_healthy(A, drained=True, drain_reason="budget"), None, "drained: budget"),
        (_healthy(A, blocked_until=_NOW + 3), None, "rate limited for 3.0s"),
        (_healthy(A), Load({A: 2}, {"a": 2}), "full: 2 in flight"),
        (_healthy(A, standing=Standing.PROBATION), _TRIED, "its trial is under way"),
    ],
)
def test_what_cannot_take_the_request_is_skipped_and_says_why(
    health: TargetHealth, load: Load | None, why: str
) -> None:
    """Law: each obstacle has its words, and priority's fallback from it is visible in the choice."""
    choice = _choose(_workload(Strategy.PRIORITY), health, load=load)
    skipped = {candidate.target: candidate.skipped for candidate in choice.candidates}
    assert why in skipped[A]
    assert (choice.chosen, choice.primary) == (B, A)
    assert "a/m is passed over" in choice.reason


def test_a_block_that_is_over_is_no_obstacle() -> None:
    """Law: a rate limit ends by itself."""
    assert _choose(_workload(Strategy.PRIORITY), _healthy(A, blocked_until=_NOW)).chosen == A


def test_another_dialect_is_an_obstacle_and_simulated_providers_speak_both() -> None:
    """Law: a request never crosses API families."""
    workload = _workload(Strategy.PRIORITY)
    routes = _routes(workload, a=Dialect.ANTHROPIC, b=Dialect.SIMULATED)
    snapshot = HealthSnapshot(targets={target: _healthy(target) for target in (A, B, C)})
    query = RouteQuery(request_id="r", workload=workload, surface=Surface.CHAT)
    choice = choose(query, routes, snapshot, Load({}, {}), _NOW)
    assert (choice.chosen, choice.primary) == (B, B)
    assert "speaks anthropic only" in {candidate.skipped for candidate in choice.candidates}


_HEALTHS = st.builds(
    TargetHealth,
    target=st.just(A),
    standing=st.sampled_from(Standing),
    until=st.just(_NOW + 5),
    drained=st.booleans(),
    blocked_until=st.none() | st.just(_NOW + 1),
    expected_s=st.none() | st.floats(0.001, 60),
)


@given(
    st.tuples(_HEALTHS, _HEALTHS, _HEALTHS),
    st.sampled_from(Strategy),
    st.tuples(*[st.integers(0, 3)] * 3),
    st.sets(st.sampled_from([A, B, C])),
    st.integers(0, 2**32),
)
def test_every_candidate_appears_once_and_only_what_may_is_chosen(
    healths: tuple[TargetHealth, ...],
    strategy: Strategy,
    in_flight: tuple[int, ...],
    tried: set[TargetName],
    seed: int,
) -> None:
    """Law: a choice accounts for every target, is the lowest score, and is the same for the same inputs."""
    placed = [
        TargetHealth(**{field: getattr(health, field) for field in health.__struct_fields__} | {"target": target})
        for target, health in zip((A, B, C), healths, strict=True)
    ]
    load = Load(
        dict(zip((A, B, C), in_flight, strict=True)), dict(zip("abc", in_flight, strict=True)), Turn(seed % 3, seed)
    )
    choice = _choose(_workload(strategy), *placed, load=load, tried=tuple(tried))
    assert choice == _choose(_workload(strategy), *placed, load=load, tried=tuple(tried))
    assert Counter(candidate.target for candidate in choice.candidates) == {A: 1, B: 1, C: 1}
    open_ = {candidate.target: candidate.score for candidate in choice.candidates if not candidate.skipped}
    assert not tried & set(open_)
    if open_:
        assert open_[choice.chosen] == min(open_.values())
    else:
        assert choice.chosen is None


@given(st.sets(st.sampled_from([A, B, C]), min_size=1))
def test_round_robin_is_fair_among_the_ready(ready: set[TargetName]) -> None:
    """Law: over any run of turns each ready target is chosen as often as the others, give or take what one is down."""
    away = [_healthy(target, drained=True) for target in (A, B, C) if target not in ready]
    served: Counter[TargetName] = Counter()
    turn = 0
    for _ in range(60):
        chosen = _choose(_workload(Strategy.ROUND_ROBIN), *away, load=Load({}, {}, Turn(turn))).chosen
        served[chosen] += 1
        turn = (A, B, C).index(chosen) + 1
    assert set(served) == ready
    assert max(served.values()) - min(served.values()) <= 1


def test_weights_are_kept_over_many_draws() -> None:
    """Law: a target with three times the weight is drawn three times as often."""
    workload = _workload(Strategy.WEIGHTED, weights=(6.0, 3.0, 1.0))
    drawn = Counter(_choose(workload, load=Load({}, {}, Turn(0, seed))).chosen for seed in range(5000))
    assert [round(drawn[target] / 5000, 1) for target in (A, B, C)] == [0.6, 0.3, 0.1]


def test_the_earliest_end_of_an_obstacle_is_known() -> None:
    """Law: who waits knows until when, and nobody waits for a drain without an end."""
    workload = _workload()
    healths = {
        A: _healthy(A, standing=Standing.COOLING, until=_NOW + 9),
        B: _healthy(B, blocked_until=_NOW + 4),
        C: _healthy(C, drained=True),
    }
    query = RouteQuery(request_id="r", workload=workload, surface=Surface.CHAT)
    load = Load({}, {})
    assert earliest_ready(query, _routes(workload), HealthSnapshot(targets=healths), load, _NOW) == _NOW + 4
    only_c = RouteQuery(request_id="r", workload=_workload(targets=(C,)), surface=Surface.CHAT)
    assert earliest_ready(only_c, _routes(workload), HealthSnapshot(targets=healths), load, _NOW) is None


def test_names_mean_workloads_then_targets_then_models() -> None:
    """Law: the precedence of names is fixed."""
    routes = _routes(_workload(default=True))
    assert resolve("w", routes).targets == (A, B, C)
    assert resolve("auto", routes) is routes.workloads["w"]
    assert resolve("b/m", routes).targets == (B,)
    assert not resolve("b/m", routes).named
    assert resolve("m", routes).targets == (A, B, C)
    assert known_names(routes) == ("w", A, B, C)


def test_an_unknown_name_comes_with_the_nearest() -> None:
    """Law: a typing error is answered with what was meant."""
    unknown = resolve("b/mm", _routes(_workload()))
    assert isinstance(unknown, UnknownModel)
    assert "b/m" in unknown.nearest


def test_a_full_rate_limited_or_unready_target_is_not_available() -> None:
    """Law: `/readyz` counts exactly what could take a request now."""
    workload = _workload()
    healths = {
        A: _healthy(A, standing=Standing.COOLING, until=_NOW + 9),
        B: _healthy(B, blocked_until=_NOW + 4),
        C: _healthy(C),
    }
    view = DispatcherView(
        snapshot=HealthSnapshot(targets=healths), routes=_routes(workload), in_flight={C: 1}, waiting={}
    )
    assert available_targets(workload, view, _NOW) == (C,)
    full = DispatcherView(snapshot=view.snapshot, routes=view.routes, in_flight={C: 2}, waiting={})
    assert workloads_without_target(full, _NOW) == ("w",)


@pytest.mark.parametrize(
    ("strategy", "health", "available"),
    [
        (Strategy.PRIORITY, {"standing": Standing.COOLING, "until": _NOW + 9, "fell_on": Fault.TLS}, ()),
        (Strategy.PRIORITY, {"standing": Standing.COOLING, "until": _NOW + 9, "fell_on": Fault.TIMEOUT}, (B, C)),
        (Strategy.ROUND_ROBIN, {"refused_until": _NOW + 9, "refused_by": Fault.AUTH}, (B, C)),
        (Strategy.ROUND_ROBIN, {"standing": Standing.PROBATION, "trial_from": _NOW + 9}, (B, C)),
        (Strategy.ROUND_ROBIN, {"limit": 1}, (B, C)),
    ],
)
def test_available_is_what_would_be_chosen(
    strategy: Strategy, health: dict[str, object], available: tuple[TargetName, ...]
) -> None:
    """Law: `/readyz` and the choice never contradict each other, whatever stands in the way."""
    workload = _workload(strategy, fallback_on=(*DEFAULT_FALLBACK_ON, Fault.AUTH))
    healths = {A: _healthy(A, **health), B: _healthy(B), C: _healthy(C)}
    view = DispatcherView(
        snapshot=HealthSnapshot(targets=healths), routes=_routes(workload), in_flight={A: 1}, waiting={}
    )
    assert available_targets(workload, view, _NOW) == available
    fallback_on = workload.fallback_on
    choice = _choose(workload, *healths.values(), load=Load({A: 1}, {"a": 1}), fallback_on=fallback_on)
    assert (choice.chosen in available) if available else choice.chosen is None


def test_a_target_is_available_to_the_dialect_that_it_speaks() -> None:
    """A workload over both dialects has all its targets; one that routes do not know any more is none."""
    workload = _workload()
    healths = {target: _healthy(target) for target in (A, B, C)}
    routes = _routes(workload, b=Dialect.ANTHROPIC)
    view = DispatcherView(snapshot=HealthSnapshot(targets=healths), routes=routes, in_flight={}, waiting={})
    assert available_targets(workload, view, _NOW) == (A, B, C)
    forgotten = Routes(workloads=routes.workloads, places={A: routes.places[A]})
    view = DispatcherView(snapshot=view.snapshot, routes=forgotten, in_flight={}, waiting={})
    assert available_targets(workload, view, _NOW) == (A,)
