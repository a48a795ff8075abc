"""Laws of standing over every history: none of them may be broken by any order of events."""

from __future__ import annotations

import itertools
import math
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from state.durations import Seconds
from state.faults import Fault
from state.health import drain, fold, resume, tick
from state.messages import AttemptCompleted, ProbeCompleted
from state.outcome import Outcome, ProbeKind
from state.policy import CooldownPolicy, HealthPolicy
from state.recall import recall
from state.record import Evidence, Record, is_surface, next_wake, view
from state.remembered import Remembered
from state.returning import trials_needed
from state.standing import Standing
from tests.rigs.evidence import TARGET, answered, failed, probed

OUTCOMES = st.builds(
    Outcome,
    fault=st.one_of(st.none(), st.sampled_from([Fault.TIMEOUT, Fault.SERVER_ERROR]), st.sampled_from(Fault)),
    latency_s=st.floats(0.0, 100.0),
    retry_after_s=st.one_of(st.none(), st.floats(0.0, 1e5)),
)
STEPS = st.lists(
    st.tuples(st.floats(0.0, 40.0), st.floats(0.0, 60.0), OUTCOMES, st.one_of(st.none(), st.sampled_from(ProbeKind))),
    max_size=60,
)
POLICIES = st.builds(
    HealthPolicy,
    fall=st.integers(1, 4),
    rise=st.integers(1, 3),
    failure_ratio=st.floats(0.1, 1.0),
    min_samples=st.integers(1, 8),
    window=st.floats(1.0, 60.0).map(Seconds),
    cooldown=st.builds(CooldownPolicy, base=st.floats(0.1, 10.0).map(Seconds), max=st.floats(10.0, 100.0).map(Seconds)),
)
Steps = list[tuple[float, float, Outcome, ProbeKind | None]]


def evidence_of(steps: Steps) -> list[Evidence]:
    """Return the evidence that the steps (pause, duration, outcome, probe or request) stand for."""
    now, pieces = 100.0, list[Evidence]()
    for pause, took, outcome, kind in steps:
        now += pause
        if kind is None:
            pieces.append(AttemptCompleted(target=TARGET, outcome=outcome, started_at=now - took, at=now))
        else:
            pieces.append(ProbeCompleted(target=TARGET, kind=kind, outcome=outcome, started_at=now - took, at=now))
    return pieces


REMEMBERED = st.builds(
    Remembered,
    target=st.just(TARGET),
    standing=st.sampled_from(Standing),
    since=st.floats(-1e12, 1e12),
    until=st.one_of(st.none(), st.floats(-1e12, 1e12), st.just(math.inf)),
    ejections=st.integers(0, 2000),
    evidence=STEPS.map(evidence_of).map(tuple),
)


def history(steps: Steps, policy: HealthPolicy) -> list[Record]:
    """Return the record before all, and after each piece of evidence."""
    first = Record(target=TARGET, since=100.0)
    return list(
        itertools.accumulate(evidence_of(steps), lambda record, piece: fold(record, piece, policy), initial=first)
    )


def vouches(record: Record, piece: Evidence) -> bool:
    """Return whether a canary or a request that was sent while the target cooled has succeeded."""
    return piece.outcome.succeeded and not is_surface(piece) and piece.started_at > record.since


@given(STEPS, POLICIES)
def test_a_cooling_target_is_never_available_before_its_time(steps: Steps, policy: HealthPolicy) -> None:
    """Once it cools, nothing that happens before `until` makes it ready but an answer to what was sent since then."""
    records = history(steps, policy)
    for before, after, piece in zip(records, records[1:], evidence_of(steps), strict=False):
        if before.standing is Standing.COOLING and piece.at < before.until and not vouches(before, piece):
            assert (after.standing, after.until) == (Standing.COOLING, before.until)
            assert not view(after, piece.at).ready


@given(STEPS, POLICIES)
def test_a_cooldown_never_shrinks_while_faults_go_on(steps: Steps, policy: HealthPolicy) -> None:
    """Ejections in a row: each cooldown is at least as long as the one before, begins after it, and has a bound."""
    cooldowns = [record for record in history(steps, policy) if record.standing is Standing.COOLING]
    for one, other in itertools.pairwise(cooldowns):
        if other.since > one.since:
            assert other.since >= one.since
            if other.ejections > one.ejections:
                assert other.until - other.since >= (one.until - one.since) * (1 - 1e-9)
    for record in cooldowns:
        assert 0 < record.until - record.since <= policy.cooldown.max * (1 + 1e-9)


def well_again(record: Record, policy: HealthPolicy, now: float) -> Record:
    """Return the record after its longest cooldown and then enough successes: what a target that is well does."""
    now = max(now, record.since) + policy.cooldown.max
    record = tick(record, policy, now)
    return reduce(
        lambda held, count: fold(held, answered(now + 1 + count), policy), range(trials_needed(record, policy)), record
    )


@given(STEPS, POLICIES)
def test_every_standing_leads_back_to_health(steps: Steps, policy: HealthPolicy) -> None:
    """Whatever happened, the longest cooldown and then `rise` successes make a target healthy and ready."""
    for record, piece in zip(history(steps, policy)[1:], evidence_of(steps), strict=True):
        healed = well_again(record, policy, piece.at)
        assert healed.standing is Standing.HEALTHY
        assert view(healed, piece.at).ready


@given(STEPS, POLICIES)
def test_replaying_the_evidence_gives_the_same_record(steps: Steps, policy: HealthPolicy) -> None:
    """No clock, no chance: the same history leads to the same record."""
    assert history(steps, policy) == history(steps, policy)


@given(STEPS, POLICIES, st.lists(st.integers(0, 60), max_size=8))
def test_nobody_changes_a_target_by_looking(steps: Steps, policy: HealthPolicy, looks: list[int]) -> None:
    """Letting time pass between two pieces of evidence, or not, leads to the same record."""
    looked = Record(target=TARGET, since=100.0)
    for number, piece in enumerate(evidence_of(steps)):
        if number in looks:
            looked = tick(looked, policy, piece.at)
        looked = fold(looked, piece, policy)
    assert tick(looked, policy, 5000.0) == tick(history(steps, policy)[-1], policy, 5000.0)


@given(STEPS, POLICIES)
def test_a_client_that_left_changes_nothing_at_all(steps: Steps, policy: HealthPolicy) -> None:
    """Cancelled requests and probes can be struck from any history."""
    struck = Record(target=TARGET, since=100.0)
    for piece in evidence_of(steps):
        if piece.outcome.fault is not Fault.CANCELLED:
            struck = fold(struck, piece, policy)
    assert struck == history(steps, policy)[-1]


@given(STEPS, POLICIES, st.integers(0, 60), st.integers(0, 60))
def test_a_drain_is_independent_of_the_standing(steps: Steps, policy: HealthPolicy, start: int, stop: int) -> None:
    """Drained or not at any time, a target's standing goes the same way."""
    record = Record(target=TARGET, since=100.0)
    for number, piece in enumerate(evidence_of(steps)):
        record = drain(record, None, "") if number == start else record
        record = fold(record, piece, policy)
        record = resume(record) if number == stop else record
        assert not (record.drained and view(record, piece.at).ready)
    assert resume(record) == history(steps, policy)[-1]


@given(STEPS, POLICIES, st.floats(0.0, 4000.0))
def test_time_passes_in_one_step_or_in_many(steps: Steps, policy: HealthPolicy, later: float) -> None:
    """After `tick` no wake is left in the past, and waking at each of them ends at the same record."""
    record = drain(history(steps, policy)[-1], 500.0, "")
    now = 100.0 + sum(step[0] for step in steps) + later
    leap, stepped = tick(record, policy, now), record
    while (wake := next_wake(stepped)) <= now:
        stepped = tick(stepped, policy, wake)
    assert leap == stepped
    assert next_wake(leap) > now


@given(REMEMBERED, POLICIES)
def test_no_clock_jump_locks_a_target_out(known: Remembered, policy: HealthPolicy) -> None:
    """Whatever a restart remembers, the target is on trial within the longest cooldown, and then heals."""
    now = 1000.0
    record = recall(known, policy, now)
    assert record.since <= now
    assert record.standing is not Standing.COOLING or now < record.until <= now + policy.cooldown.max
    assert well_again(record, policy, now).standing is Standing.HEALTHY


def test_no_order_of_six_events_leaves_a_target_stuck() -> None:
    """All short histories, exhaustively: from each state that they reach, a target that is well heals in time."""
    policy = HealthPolicy(fall=2, rise=2, min_samples=3, cooldown=CooldownPolicy(base=Seconds(2), max=Seconds(8)))
    kinds = (
        answered,
        lambda now: answered(now, took=5.0),
        failed,
        lambda now: failed(now, took=5.0),
        lambda now: failed(now, Fault.RATE_LIMITED),
        lambda now: probed(ProbeKind.CATALOG, now),
        lambda now: probed(ProbeKind.CATALOG, now, Fault.UNREACHABLE),
        lambda now: probed(ProbeKind.CANARY, now),
        lambda now: probed(ProbeKind.CANARY, now, Fault.TIMEOUT),
    )
    reached, standings = {Record(target=TARGET)}, set[Standing]()
    for depth in range(6):
        now = 10.0 + 1.5 * depth
        reached = {fold(record, kind(now), policy) for record in reached for kind in kinds}
        reached = set({_shape(record): record for record in reached}.values())
        standings |= {record.standing for record in reached}
        assert all(well_again(record, policy, now).standing is Standing.HEALTHY for record in reached)
    assert standings == set(Standing)


def _shape(record: Record) -> tuple[object, ...]:
    """Return what of a record decides its future: states that agree in it are searched once."""
    run = (record.request_faults, record.surface_faults, record.successes, record.ejections)
    return (record.standing, record.since, record.until, run, record.outcomes, record.block)
