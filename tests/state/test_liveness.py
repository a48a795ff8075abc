"""Liveness, exhaustively: from every state that short histories reach, a target that is well gets its traffic back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from functools import reduce

import pytest
from msgspec.structs import replace

from state.durations import Seconds
from state.faults import Fault
from state.health import begin, drain, fold, resume, tick
from state.messages import AnswerBegan
from state.outcome import ProbeKind
from state.policy import CooldownPolicy, HealthPolicy
from state.recall import recall
from state.record import Record, next_wake, view
from state.remembered import Remembered
from state.returning import trials_needed
from state.standing import Standing
from tests.rigs.evidence import TARGET, answered, failed, probed

POLICY = HealthPolicy(fall=2, rise=2, min_samples=3, cooldown=CooldownPolicy(base=Seconds(2), max=Seconds(8)))
VOUCHING = replace(POLICY, vouch=Seconds(3))
POLICIES = pytest.mark.parametrize("policy", [POLICY, VOUCHING], ids=["without canaries", "with canaries"])
STEP_S = 1.5
DAY_S = 86_400.0
START = Record(target=TARGET, since=0.0)
Event = Callable[[Record, HealthPolicy, float], Record]


def began(record: Record, policy: HealthPolicy, now: float, took: float = 0.1) -> Record:
    """Return the record once a first token has come."""
    seen = AnswerBegan(target=TARGET, first_s=took, started_at=now - took, at=now)
    return begin(record, seen, policy)


def overloaded(record: Record, policy: HealthPolicy, now: float) -> Record:
    """Return the record after an overload under load."""
    return fold(record, replace(failed(now, Fault.OVERLOADED), in_flight=4), policy)


EVENTS: dict[str, Event] = {
    "answered": lambda record, policy, now: fold(record, answered(now), policy),
    "a straggler answered": lambda record, policy, now: fold(record, answered(now, took=5.0), policy),
    "began": began,
    "a straggler began": lambda record, policy, now: began(record, policy, now, took=5.0),
    "failed": lambda record, policy, now: fold(record, failed(now), policy),
    "overloaded": overloaded,
    "rate limited": lambda record, policy, now: fold(record, failed(now, Fault.RATE_LIMITED), policy),
    "canary passed": lambda record, policy, now: fold(record, probed(ProbeKind.CANARY, now), policy),
    "canary failed": lambda record, policy, now: fold(record, probed(ProbeKind.CANARY, now, Fault.TIMEOUT), policy),
    "not to be reached": lambda record, policy, now: fold(
        record, probed(ProbeKind.LIVENESS, now, Fault.UNREACHABLE), policy
    ),
    "nothing": tick,
}


def states(policy: HealthPolicy, depth: int) -> Iterable[tuple[float, Record]]:
    """Yield every record that histories of up to `depth` events reach, and when; each that has its future once."""
    reached = [START]
    for number in range(depth):
        now = 10.0 + STEP_S * number
        after = (event(record, policy, now) for record in reached for event in EVENTS.values())
        reached = list({_future(record): record for record in after}.values())
        yield from ((now, record) for record in reached)


def _future(record: Record) -> tuple[object, ...]:
    """Return what of a record decides its future."""
    runs = (record.request_faults, record.surface_faults, record.successes, record.ejections, record.mistrust)
    times = (record.since, record.until, record.trial_at, record.check_at, record.outcomes, record.block)
    return (record.standing, record.vouched, record.limit, *runs, *times)


def admits(record: Record, now: float) -> bool:
    """Return whether a choice would send it a request at `now`, were nobody else there."""
    health = view(record, now)
    waits = health.trial_from is not None and health.trial_from > now
    return health.ready and not waits and (health.blocked_until is None or health.blocked_until <= now)


def until_admitted(record: Record, policy: HealthPolicy, now: float) -> float:
    """Return the seconds until time alone lets requests through."""
    later = now
    while not admits(record := tick(record, policy, later), later):
        health = view(record, later)
        ends = [next_wake(record), health.trial_from or math.inf, health.blocked_until or math.inf]
        later = min(end for end in ends if end > later)
    return later - now


def served(record: Record, policy: HealthPolicy, now: float) -> Record:
    """Return the record once a target that is well has had requests one at a time, as it admits them."""
    for _ in range(trials_needed(record, policy) + 1):
        now += until_admitted(record, policy, now) + 0.5
        record = fold(tick(record, policy, now), answered(now), policy)
    return record


def longest_s(policy: HealthPolicy) -> float:
    """Return for how long anything may keep requests away: a cooldown, and then the wait for a canary."""
    return policy.cooldown.max + (policy.vouch or 0.0)


@pytest.mark.parametrize(("policy", "depth"), [(POLICY, 4), (VOUCHING, 5)], ids=["without canaries", "with canaries"])
def test_every_state_leads_back_to_traffic_within_the_longest_cooldown(policy: HealthPolicy, depth: int) -> None:
    """No probe needs to report: time alone admits a request, and requests alone make the target healthy."""
    standings = set[Standing]()
    for now, record in states(policy, depth):
        standings.add(record.standing)
        assert until_admitted(record, policy, now) <= longest_s(policy)
        healed = served(record, policy, now)
        assert healed.standing is Standing.HEALTHY
        assert healed.limit != 1
    assert standings == set(Standing)


@POLICIES
def test_a_prober_that_crashed_locks_nobody_out(policy: HealthPolicy) -> None:
    """A canary or a trial that was sent and never reports changes nothing: nothing was booked that could be lost."""
    for now, record in states(policy, 4):
        assert until_admitted(tick(record, policy, now + 1000.0), policy, now + 1000.0) == 0.0


def test_a_canary_that_passes_shortens_the_way_and_never_lengthens_it() -> None:
    """One that is sent after the ejection, at every state: requests come no later than without it."""
    for now, record in states(VOUCHING, 4):
        sooner = fold(record, probed(ProbeKind.CANARY, now + 0.3), VOUCHING)
        assert until_admitted(sooner, VOUCHING, now + 0.3) <= until_admitted(record, VOUCHING, now + 0.3)
        if record.standing is Standing.COOLING and record.block.until < now:
            assert admits(sooner, now + 0.3)


def test_a_canary_that_always_fails_keeps_nobody_away_for_ever() -> None:
    """Probes may lie: after ten longest cooldowns without a request one is let through, whatever they say."""
    record = reduce(lambda held, second: fold(held, failed(10.0 + second), VOUCHING), range(2), START)
    now = 11.0
    while not admits(tick(record, VOUCHING, now), now):
        now += 1.0
        record = fold(record, probed(ProbeKind.CANARY, now, Fault.TIMEOUT), VOUCHING)
        assert now <= 11.0 + 12 * VOUCHING.cooldown.max + longest_s(VOUCHING)
    assert served(record, VOUCHING, now).standing is Standing.HEALTHY


def test_canaries_that_lie_the_other_way_cost_a_bounded_number_of_requests() -> None:
    """They pass and requests fail: each ejection is longer than the one before, up to the longest."""
    record, now, lost = START, 10.0, 0
    while now < 200.0:
        now += until_admitted(record, VOUCHING, now) + 0.2
        record = fold(tick(record, VOUCHING, now), failed(now), VOUCHING)
        lost += 1
        if record.standing is Standing.COOLING:
            now = max(now, record.check_at) + 0.2
            record = fold(tick(record, VOUCHING, now), probed(ProbeKind.CANARY, now), VOUCHING)
    assert record.mistrust > 3
    assert lost <= 200.0 / 5.0
    assert served(record, VOUCHING, now).standing is Standing.HEALTHY


@POLICIES
@pytest.mark.parametrize("jump", [-DAY_S, 0.0, DAY_S], ids=["a day back", "no jump", "a day ahead"])
@pytest.mark.parametrize("standing", Standing)
def test_a_crash_and_a_jump_of_the_clock_lock_nobody_out(standing: Standing, jump: float, policy: HealthPolicy) -> None:
    """Killed in any standing, a trial under way or not: the restart admits requests within the longest cooldown."""
    now = 1000.0
    for since, until, ejections in itertools.product((1.0, 100.0), (None, 5.0, math.inf), (0, 3, 2000)):
        known = Remembered(
            target=TARGET,
            standing=standing,
            since=now + jump - since,
            until=None if until is None or standing is not Standing.COOLING else now + jump + until,
            ejections=ejections,
            evidence=(failed(now + jump - 2.0), failed(now + jump - 1.0), probed(ProbeKind.CANARY, now + jump)),
        )
        record = recall(known, policy, now)
        assert record.since <= now
        assert until_admitted(record, policy, now) <= longest_s(policy)
        assert served(record, policy, now).standing is Standing.HEALTHY


@POLICIES
def test_every_state_survives_a_crash(policy: HealthPolicy) -> None:
    """What the history keeps of each state leads back to traffic too, on a clock that is a day off."""
    for now, record in states(policy, 3):
        for jump in (-DAY_S, DAY_S):
            known = Remembered(
                target=TARGET,
                standing=record.standing,
                since=record.since + jump,
                until=record.until + jump,
                ejections=record.ejections,
            )
            restarted = recall(known, policy, now)
            assert until_admitted(restarted, policy, now) <= longest_s(policy)
            assert served(restarted, policy, now).standing is Standing.HEALTHY


@POLICIES
def test_a_drain_that_ends_leaves_the_way_as_it_was(policy: HealthPolicy) -> None:
    """An operator who drains and resumes at any state does not change when requests come back."""
    for now, record in states(policy, 3):
        assert resume(drain(record, None, "")) == record
        expired = tick(drain(record, now + 20.0, ""), policy, now + 20.0)
        assert admits(expired, now + 20.0)
