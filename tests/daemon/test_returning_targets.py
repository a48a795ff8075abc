"""Who may take a request while nothing is sure: newcomers, targets on their way back, and the least condemned."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.routing.availability import available_targets
from daemon.routing.latency import Silence
from daemon.routing.leases import Choice, DispatcherView, RouteQuery
from daemon.routing.policy import Routes, Strategy, TargetPlace, Workload
from daemon.routing.selection import Load, choose, earliest_ready
from probes.policy import Dialect
from probes.surfaces import Surface
from state.faults import Fault
from state.latency.estimator import Estimator
from state.latency.level import Level
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName, provider_of

NOW = 1000.0
A, B, C = (TargetName(f"{name}/m") for name in "abc")
PLACES = {
    target: TargetPlace(provider=provider_of(target), dialect=Dialect.OPENAI, max_in_flight=99) for target in (A, B, C)
}


def known(target: TargetName, first_s: float = 1.0, **more: object) -> TargetHealth:
    """Return a healthy target with that first token."""
    level = Level(math.log(first_s), variance=0.0, tail=1.0, at=NOW, count=9)
    return TargetHealth(**{"target": target, "standing": Standing.HEALTHY, "estimator": Estimator(level), **more})


def cooling(target: TargetName, since: float, **more: object) -> TargetHealth:
    """Return a target that was ejected at `since` for a minute."""
    return known(target, standing=Standing.COOLING, since=since, until=since + 60.0, fell_on=Fault.TIMEOUT, **more)


def waiting(target: TargetName, since: float, trial_from: float | None) -> TargetHealth:
    """Return a target on probation since then."""
    return known(target, 9.0, standing=Standing.PROBATION, since=since, trial_from=trial_from)


def asked(*healths: TargetHealth, load: dict[TargetName, int] | None = None, **more: object) -> Choice:
    """Return the choice among these targets."""
    workload = Workload(name="w", targets=tuple(health.target for health in healths))
    query = RouteQuery(**{"request_id": "r", "workload": workload, "surface": Surface.CHAT, **more})
    snapshot = HealthSnapshot(targets={health.target: health for health in healths})
    routes = Routes(workloads={"w": workload}, places=PLACES)
    under_way = load or {}
    providers = {provider_of(target): count for target, count in under_way.items()}
    silences = {target: (Silence(NOW),) * count for target, count in under_way.items()}
    return choose(query, routes, snapshot, Load(under_way, providers, silences=silences), NOW)


def why_not(choice: Choice, target: TargetName) -> str:
    """Return why a target was skipped."""
    return next(each.skipped for each in choice.candidates if each.target == target)


def test_an_unproven_target_gets_one_request_and_not_all() -> None:
    """It is before every other while nobody is there, and behind every other while somebody finds out."""
    newcomer, proven = TargetHealth(target=A), known(B)
    assert asked(newcomer, proven).chosen == A
    for in_flight in (1, 5):
        assert asked(newcomer, proven, load={A: in_flight, B: 50}).chosen == B
    assert asked(newcomer, load={A: 5}).chosen == A


def test_newcomers_share_what_comes_while_nobody_is_proven() -> None:
    """Each gets one, then each the next."""
    load = dict.fromkeys((A, B, C), 0)
    for _ in range(9):
        chosen = asked(*(TargetHealth(target=target) for target in (A, B, C)), load=load).chosen
        assert chosen is not None
        load[chosen] += 1
    assert set(load.values()) == {3}


@pytest.mark.parametrize(("trial_from", "chosen"), [(None, B), (NOW + 1.0, B), (NOW, A), (NOW - 60.0, A)])
def test_a_target_on_probation_waits_for_its_canary(trial_from: float | None, chosen: TargetName) -> None:
    """Until the time for a trial without one; vouched for, it is tried when it is the best, or a minute later."""
    choice = asked(waiting(A, NOW - 10.0, trial_from), known(B))
    assert choice.chosen == chosen
    if trial_from is not None and trial_from > NOW:
        assert "no canary has vouched" in why_not(choice, A)
        assert earliest(waiting(A, NOW - 10.0, trial_from)) == trial_from


def earliest(*healths: TargetHealth) -> float | None:
    """Return when one of the targets may take a request."""
    workload = Workload(name="w", targets=tuple(health.target for health in healths))
    query = RouteQuery(request_id="r", workload=workload, surface=Surface.CHAT)
    snapshot = HealthSnapshot(targets={health.target: health for health in healths})
    return earliest_ready(query, Routes(workloads={"w": workload}, places=PLACES), snapshot, Load({}, {}), NOW)


def test_a_target_that_a_canary_vouches_for_gets_its_trial_within_a_minute() -> None:
    """Though it never becomes the best."""
    assert asked(waiting(A, NOW - 59.0, None), known(B)).chosen == B
    assert asked(waiting(A, NOW - 60.0, None), known(B)).chosen == A


def test_a_trial_is_one_request() -> None:
    """The others go elsewhere while it is under way."""
    choice = asked(waiting(A, NOW - 60.0, None), known(B), load={A: 1})
    assert choice.chosen == B
    assert "its trial is under way" in why_not(choice, A)


def test_a_stream_from_before_the_ejection_is_no_trial() -> None:
    """It may go on for as long as it likes, and has had its first token: the trial goes ahead."""
    workload = Workload(name="w", targets=(A,))
    query = RouteQuery(request_id="r", workload=workload, surface=Surface.CHAT)
    snapshot = HealthSnapshot(targets={A: waiting(A, NOW - 60.0, None)})
    routes = Routes(workloads={"w": workload}, places=PLACES)
    older = Load({A: 1}, {provider_of(A): 1}, silences={A: (Silence(NOW - 90.0),)})
    assert choose(query, routes, snapshot, older, NOW).chosen == A


def test_what_waits_for_its_canary_is_not_available() -> None:
    """`/readyz` must not promise what no request would get."""
    workload = Workload(name="w", targets=(A,))
    routes = Routes(workloads={"w": workload}, places=PLACES)
    for trial_from, available in ((None, (A,)), (NOW, (A,)), (NOW + 1.0, ())):
        snapshot = HealthSnapshot(targets={A: waiting(A, NOW - 10.0, trial_from)})
        view = DispatcherView(snapshot=snapshot, routes=routes, in_flight={}, waiting={})
        assert available_targets(workload, view, NOW) == available
        assert (asked(waiting(A, NOW - 10.0, trial_from)).chosen == A) == bool(available)


@given(st.integers(1, 32), st.integers(0, 40))
def test_who_returns_has_no_more_than_its_limit(limit: int, in_flight: int) -> None:
    """However much better it is than the rest."""
    choice = asked(known(A, 0.1, limit=limit), known(B), load={A: in_flight})
    assert choice.chosen == (A if in_flight < limit else B)
    if in_flight >= limit:
        assert why_not(choice, A) == f"returning slowly: {in_flight} in flight"


def test_where_all_are_ejected_the_least_recently_condemned_is_taken() -> None:
    """One rather than none, and one request at a time; only for those whose waiting is over."""
    all_of_them = (cooling(A, NOW - 5.0), cooling(B, NOW - 20.0), waiting(C, NOW - 10.0, NOW + 5.0))
    assert asked(*all_of_them).chosen is None
    choice = asked(*all_of_them, desperate=True)
    assert (choice.chosen, choice.reason) == (B, "all are ejected, and it for the longest time")
    assert asked(*all_of_them, desperate=True, load={B: 1}).chosen == C
    assert asked(*all_of_them, desperate=True, load={B: 1, C: 1}).chosen == A
    assert asked(*all_of_them, desperate=True, load={A: 1, B: 1, C: 1}).chosen is None
    assert asked(*all_of_them, desperate=True, tried=(B,)).chosen == C


@pytest.mark.parametrize("only", [cooling(A, NOW - 5.0), waiting(A, NOW - 5.0, NOW + 5.0)])
def test_a_single_target_keeps_its_cooldown(only: TargetHealth) -> None:
    """There is no choice there that could go wrong: the cooldown is told."""
    assert asked(only, desperate=True).chosen is None


@pytest.mark.parametrize(
    "other",
    [
        known(B, drained=True),
        known(B, blocked_until=NOW + 5.0),
        cooling(B, NOW - 20.0, drained=True),
        cooling(B, NOW - 20.0, refused_until=NOW + 60.0, refused_by=Fault.AUTH),
    ],
    ids=["drained", "rate limited", "ejected and drained", "ejected and refused"],
)
def test_despair_overrules_a_cooldown_and_nothing_else(other: TargetHealth) -> None:
    """An operator's drain, a provider's limit and a refused key stand."""
    assert asked(cooling(A, NOW - 5.0), other, desperate=True, fallback_on=(Fault.AUTH,)).chosen == A


def test_there_is_no_despair_while_one_target_is_well() -> None:
    """However slow it is."""
    assert asked(cooling(A, NOW - 50.0), known(B, 60.0), desperate=True).chosen == B


@given(
    st.lists(st.tuples(st.sampled_from(Standing), st.floats(0.0, 50.0), st.booleans()), min_size=2, max_size=3),
    st.sampled_from(Strategy),
)
def test_despair_always_finds_an_ejected_target(states: list[tuple[Standing, float, bool]], strategy: Strategy) -> None:
    """With two targets or more, any that is not drained and has no request is enough, whatever the strategy."""
    healths = [
        known(target, standing=standing, since=NOW - age, until=NOW + 60.0, drained=drained)
        for target, (standing, age, drained) in zip((A, B, C), states, strict=False)
    ]
    workload = Workload(name="w", targets=tuple(health.target for health in healths), strategy=strategy)
    choice = asked(*healths, workload=workload, desperate=True)
    assert (choice.chosen is None) == all(health.drained for health in healths)
