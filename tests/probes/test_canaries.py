"""Canaries as pure functions of time: which one pays now, how many go out, and what they may cost."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from probes.canaries import QUIET_S, Canaries, Sight, Spent, canary_due
from probes.policy import ProbePolicy, ProbeSetting
from state.durations import Seconds
from state.latency.estimator import Estimator
from state.latency.level import Level
from state.latency.reliability import Reliability
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName

NOW, EVERY = 1000.0, 60.0
A, B = TargetName("p/a"), TargetName("p/b")
POLICY = ProbePolicy(kind=ProbeSetting.CANARY, every=Seconds(EVERY))


def level(seconds: float, **more: object) -> Level:
    """Return a level that is settled."""
    return Level(math.log(seconds), **{"variance": 0.01, "at": NOW, "count": 20, "steady": 20, **more})


def seen(target: TargetName = A, first_s: float = 1.0, **more: object) -> TargetHealth:
    """Return a target that is well, was heard of at 990 s, and was never better than it is now."""
    estimator = Estimator(first=level(first_s), pace=level(0.01), best=math.log(first_s), best_pace=math.log(0.01))
    known = {"target": target, "standing": Standing.HEALTHY, "seen_at": 990.0, "since": 500.0, "estimator": estimator}
    return TargetHealth(**{**known, **more})


def told(first: Level, **more: object) -> Estimator:
    """Return an estimator with that first token."""
    return Estimator(first=first, pace=level(0.01), **more)


def sight(*healths: TargetHealth, asked_at: float = NOW, **in_flight: int) -> Sight:
    """Return what the prober sees: these targets, and requests until `asked_at`."""
    under_way = {TargetName(f"p/{name}"): count for name, count in in_flight.items()}
    snapshot = HealthSnapshot(targets={health.target: health for health in healths})
    return Sight(snapshot=snapshot, in_flight=under_way, asked_at=asked_at)


def due(health: TargetHealth, *others: TargetHealth, asked_at: float = NOW, **in_flight: int) -> float:
    """Return from when its canary pays."""
    return canary_due(health, sight(health, *others, asked_at=asked_at, **in_flight), EVERY, NOW)


FASTER = seen(B, 0.5)
SLOWER = seen(B, 3.0)
WAS_FAST = seen(estimator=told(level(2.0), best=math.log(0.3), best_pace=math.log(0.01)))


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (seen(), 990.0 + EVERY),
        (TargetHealth(target=A), -math.inf),
        (TargetHealth(target=A, check_at=1003.0), 1003.0),
        (seen(drained=True), math.inf),
        (TargetHealth(target=A, drained=True), math.inf),
        (seen(standing=Standing.COOLING, until=1050.0, check_at=1003.0), 1003.0),
        (seen(standing=Standing.COOLING, until=1050.0), math.inf),
        (seen(standing=Standing.PROBATION, since=980.0, trial_from=995.0), 980.0),
        (seen(standing=Standing.PROBATION, since=980.0), 990.0 + EVERY),
        (seen(estimator=told(level(1.0, run=1))), 991.0),
        (seen(estimator=told(level(1.0, run=-1))), 991.0),
        (seen(estimator=told(level(1.0, steady=2))), 991.0),
        (seen(estimator=told(level(1.0, steady=2, count=3))), 990.0 + EVERY),
        (seen(estimator=told(level(1.0, steady=3))), 990.0 + EVERY),
        (seen(reliability=Reliability(failed=1.0, total=9.0, at=990.0, run=1)), 991.0),
        (seen(reliability=Reliability(failed=1.0, total=9.0, at=990.0)), 990.0 + EVERY),
    ],
    ids=[
        "idle",
        "never tried",
        "never tried and ejected",
        "drained",
        "never tried and drained",
        "cooling",
        "cooling without a check",
        "on probation",
        "on probation and vouched for",
        "an outlier above",
        "an outlier below",
        "just changed",
        "hardly known",
        "settled again",
        "after a fault",
        "after a fault and an answer",
    ],
)
def test_each_rule_says_when_a_canary_pays(health: TargetHealth, expected: float) -> None:
    """One row for each rule, beside a target that is better than this one ever was."""
    assert due(health, FASTER) == expected


@pytest.mark.parametrize(
    ("health", "others", "expected"),
    [
        (seen(), [SLOWER], 1000.0),
        (seen(), [FASTER], 990.0 + EVERY),
        (WAS_FAST, [FASTER], 1000.0),
        (WAS_FAST, [seen(B, 0.1)], 990.0 + EVERY),
        (seen(), [replace(FASTER, drained=True)], 1000.0),
        (seen(), [replace(FASTER, standing=Standing.COOLING)], 1000.0),
        (seen(estimator=told(level(1.0))), [SLOWER], 990.0 + EVERY),
    ],
    ids=["favourite", "second", "was best", "was second at its best", "alone", "alone in health", "no record"],
)
def test_the_best_and_who_may_be_it_again_are_looked_at_sooner(
    health: TargetHealth, others: list[TargetHealth], expected: float
) -> None:
    """Every ten seconds without evidence, since its answer may change the next choice."""
    assert due(health, *others) == pytest.approx(expected)


@pytest.mark.parametrize("health", [seen(), seen(estimator=told(level(1.0, run=1))), WAS_FAST])
def test_a_request_under_way_will_tell_for_nothing(health: TargetHealth) -> None:
    """No canary beside it; one that is ejected is no such target, since no request goes there."""
    assert due(health, SLOWER, a=1) == math.inf
    assert due(health, SLOWER, b=1) < math.inf
    assert due(seen(standing=Standing.COOLING, check_at=1003.0), a=1) == 1003.0


@pytest.mark.parametrize("standing", Standing)
def test_nobody_profits_while_nobody_asks(standing: Standing) -> None:
    """After five minutes without a request only who was never tried is looked at."""
    health = seen(standing=standing, check_at=900.0, trial_from=900.0)
    assert due(health, asked_at=NOW - QUIET_S) < math.inf
    assert due(health, asked_at=NOW - QUIET_S - 1.0) == math.inf
    assert due(TargetHealth(target=A), asked_at=-math.inf) == -math.inf


def out(canaries: Canaries, many: int, now: float) -> list[TargetName]:
    """Return the canaries that go out at `now` where that many targets were never tried."""
    healths = [TargetHealth(target=TargetName(f"p{number}/m")) for number in range(many)]
    policies = {health.target: POLICY for health in healths}
    sent: list[TargetName] = []
    while (target := canaries.due(policies, sight(*healths), now)) is not None:
        canaries.sent(target, policies[target], now)
        sent.append(target)
    return sent


def test_canaries_go_out_at_a_bounded_rate() -> None:
    """Eight at once, then one every two seconds, each at another target."""
    canaries = Canaries()
    sent = out(canaries, 100, NOW)
    assert len(sent) == 8
    for second in range(1, 21):
        sent += out(canaries, 100, NOW + second)
    assert len(sent) == len(set(sent)) == 18
    assert len(out(canaries, 100, NOW + 1000.0)) == 8


def test_a_clock_that_goes_back_allows_nothing_more() -> None:
    """Whatever happens to time, the rate holds."""
    canaries = Canaries()
    assert len(out(canaries, 100, NOW)) == 8
    assert out(canaries, 100, NOW - 500.0) == []


def test_at_most_one_is_under_way_at_a_target() -> None:
    """And a second passes between two, whatever speaks for them."""
    canaries, health = Canaries(), seen(A, seen_at=800.0)
    canaries.sent(A, POLICY, NOW)
    assert canaries.due({A: POLICY}, sight(health), NOW + 500.0) is None
    canaries.ended(A, 0.0)
    assert canaries.due({A: POLICY}, sight(health), NOW + 0.9) is None
    assert canaries.due({A: POLICY}, sight(health), NOW + 1.0) == A


def test_who_has_never_answered_is_not_asked_more_often_than_the_idle() -> None:
    """A target that only ever fails must not use up the day's budget, nor one that refuses what is sent."""
    canaries, health = Canaries(), TargetHealth(target=A)
    assert canaries.due({A: POLICY}, sight(health), NOW) == A
    canaries.sent(A, POLICY, NOW)
    canaries.ended(A, 0.0)
    assert canaries.due({A: POLICY}, sight(health), NOW + POLICY.every - 0.1) is None
    assert canaries.due({A: POLICY}, sight(health), NOW + POLICY.every) == A
    refused = TargetHealth(target=A, refused_until=NOW + 999.0)
    assert canaries.due({A: POLICY}, sight(refused), NOW + POLICY.every) is None


def test_who_waits_for_longest_is_first() -> None:
    """Who was never tried before all others."""
    stale, staler = seen(A, seen_at=900.0), seen(B, seen_at=800.0)
    assert Canaries().due({A: POLICY, B: POLICY}, sight(stale, staler), NOW) == B
    newcomer = TargetHealth(target=A)
    assert Canaries().due({A: POLICY, B: POLICY}, sight(newcomer, staler), NOW) == A


@pytest.mark.parametrize("kind", [kind for kind in ProbeSetting if kind is not ProbeSetting.CANARY])
def test_only_who_wants_canaries_pays_for_them(kind: ProbeSetting) -> None:
    """Other probes are free, and go by a schedule."""
    assert Canaries().due({A: replace(POLICY, kind=kind)}, sight(TargetHealth(target=A)), NOW) is None
    assert Canaries().due({A: POLICY}, sight(), NOW) is None


def spent_out(canaries: Canaries, policy: ProbePolicy, days: float) -> list[float]:
    """Return when canaries go out to a target that each finds at fault, so that the next is always due."""
    sent, health = list[float](), TargetHealth(target=A)
    for minute in range(int(days * 1440)):
        now = NOW + 60.0 * minute
        if canaries.due({A: policy}, sight(health), now) == A:
            canaries.sent(A, policy, now)
            canaries.ended(A, policy.canary_usd)
            sent.append(now)
    return sent


def test_a_count_bounds_each_day() -> None:
    """Five within any twenty-four hours."""
    sent = spent_out(Canaries(), replace(POLICY, max_per_day=5), 2.5)
    assert len(sent) == 15
    assert all(later - sooner >= 86_400.0 for sooner, later in zip(sent, sent[5:], strict=False))


@given(st.integers(0, 60), st.integers(1, 9))
def test_dollars_bound_each_day_and_all_targets_of_a_provider(before: int, allowed: int) -> None:
    """What was spent before a restart counts until its day is over, whichever target of the provider it was for."""
    spent = [Spent(B, NOW - 40_000.0 - 100.0 * number, 0.25) for number in range(before)]
    canaries = Canaries(reversed(spent))
    sent = spent_out(canaries, replace(POLICY, canary_usd=0.25, usd_per_day=0.25 * allowed), 0.3)
    assert len(sent) == max(0, allowed - before)
    assert canaries.usd("p", NOW) == pytest.approx(0.25 * (before + len(sent)))
    assert canaries.usd("q", NOW) == 0.0
    assert canaries.usd("p", NOW + 200_000.0) == 0.0


def test_a_canary_that_cost_less_leaves_the_rest() -> None:
    """It is counted at its full price until it ends, and at what it was after that; an unknown one changes nothing."""
    canaries = Canaries()
    canaries.sent(A, replace(POLICY, canary_usd=0.5), NOW)
    assert canaries.usd("p", NOW) == 0.5
    canaries.ended(A, 0.125)
    canaries.ended(A, 9.0)
    canaries.ended(B, 9.0)
    assert canaries.usd("p", NOW) == 0.125
