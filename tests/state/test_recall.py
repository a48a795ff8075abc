"""What a restart goes on from, whatever the clocks did meanwhile."""

from __future__ import annotations

import math

import pytest

from state.faults import Fault
from state.health import fold
from state.outcome import Outcome, ProbeKind
from state.policy import HealthPolicy
from state.recall import recall
from state.record import Evidence, Record, view
from state.remembered import Remembered
from state.standing import Standing
from tests.rigs.evidence import TARGET, answered, attempt, failed, probed

POLICY = HealthPolicy()


def remembered(**known: object) -> Remembered:
    """Return what a restart remembers of the target."""
    return Remembered(target=TARGET, **known)


@pytest.mark.parametrize(
    ("until", "standing", "ends"),
    [
        (1020.0, Standing.COOLING, 1020.0),
        (9e9, Standing.COOLING, 1060.0),
        (1000.0, Standing.PROBATION, math.inf),
        (-5.0, Standing.PROBATION, math.inf),
        (None, Standing.PROBATION, math.inf),
    ],
)
def test_a_restart_goes_on_cooling_and_never_longer_than_the_longest_cooldown(
    until: float | None, standing: Standing, ends: float
) -> None:
    """Whatever the clocks did, a cooldown is over within the policy's longest one; an elapsed one is."""
    known = remembered(standing=Standing.COOLING, since=990.0, until=until, cause="3 timeouts in a row", ejections=4)
    record = recall(known, POLICY, 1000.0)
    assert (record.standing, record.until, record.ejections) == (standing, ends, 4)
    assert record.since <= 1000.0


def test_a_kill_during_a_trial_leaves_a_trial() -> None:
    """No trial is booked, so none can be lost: the next success readmits."""
    record = recall(remembered(standing=Standing.PROBATION, since=990.0, ejections=2), POLICY, 1000.0)
    assert record.standing is Standing.PROBATION
    assert fold(record, answered(1001.0), POLICY).standing is Standing.HEALTHY


def test_a_restart_remembers_windows_blocks_and_drains() -> None:
    """Evidence fills the windows and judges nobody twice; a block whose time is not over still holds."""
    evidence = (
        *(answered(900.0 + second, took=0.5) for second in range(60)),
        *(failed(990.0 + second) for second in range(5)),
        attempt(Outcome(fault=Fault.QUOTA, retry_after_s=600.0), 996.0),
        failed(997.0, Fault.CANCELLED),
    )
    known = remembered(
        standing=Standing.HEALTHY, since=100.0, drained=True, drained_until=1030.0, drain_reason="x", evidence=evidence
    )
    seen = view(recall(known, POLICY, 1000.0), 1000.0)
    assert (seen.standing, seen.samples, seen.expected_s) == (Standing.HEALTHY, 60, 0.5)
    assert (seen.blocked_until, seen.drained, seen.drained_until) == (1596.0, True, 1030.0)
    assert (seen.last_fault, seen.last_fault_at) == (Fault.QUOTA, 996.0)
    assert not recall(known, POLICY, 1030.0).drained


def test_times_from_the_future_are_brought_to_now() -> None:
    """After a clock that jumped back, remembered times lie ahead; none stays there."""
    known = remembered(standing=Standing.HEALTHY, since=5000.0, evidence=(answered(6000.0), failed(7000.0)))
    record = recall(known, POLICY, 1000.0)
    assert record.since == 1000.0
    assert record.latencies.times == (1000.0,)
    assert record.last_fault_at == 1000.0
    assert fold(record, answered(1001.0), POLICY).latencies.times == (1000.0, 1001.0)


@pytest.mark.parametrize(
    ("later", "fell_on"),
    [
        ((), Fault.TIMEOUT),
        ((failed(991.0, Fault.CONTENT_FILTER),), Fault.TIMEOUT),
        ((probed(ProbeKind.CATALOG, 991.0, Fault.AUTH),), Fault.TIMEOUT),
        ((failed(990.0, Fault.RATE_LIMITED), failed(991.0, Fault.OVERLOADED)), Fault.TIMEOUT),
    ],
)
def test_a_restart_knows_what_a_target_fell_on(later: tuple[Evidence, ...], fell_on: Fault) -> None:
    """What came after it, and what ejects nobody, is not it: a fallback that was allowed stays allowed."""
    evidence = (failed(980.0, Fault.SERVER_ERROR), failed(990.0), *later)
    known = remembered(standing=Standing.COOLING, since=990.0, until=1020.0, evidence=evidence)
    assert recall(known, POLICY, 1000.0).fell_on is fell_on


def test_what_a_target_fell_on_is_unknown_where_the_history_does_not_say() -> None:
    """It fell on what was only heard at its neighbour, or on what is too long ago."""
    known = remembered(standing=Standing.COOLING, since=990.0, until=1020.0, evidence=(failed(995.0),))
    assert recall(known, POLICY, 1000.0).fell_on is None


def test_nothing_remembered_is_as_new() -> None:
    """A target known by name alone is unproven."""
    assert recall(remembered(), POLICY, 1000.0) == Record(target=TARGET, since=0.0)
    assert recall(remembered(since=2000.0), POLICY, 1000.0) == Record(target=TARGET, since=1000.0)
