"""Laws of blocks: what a rate limit or a spent quota does to a target."""

from __future__ import annotations

import math

import pytest

from state.faults import FAULT_RULES, Fault, HealthEffect
from state.health import fold, tick
from state.messages import AttemptCompleted, ProbeCompleted
from state.outcome import Outcome, ProbeKind
from state.policy import HealthPolicy
from state.record import Record, next_wake, view
from state.standing import Standing
from tests.rigs.evidence import TARGET, answered, attempt, failed, probed

POLICY = HealthPolicy()
BLOCKS = [fault for fault, rule in FAULT_RULES.items() if rule.health is HealthEffect.BLOCKS]


def after(*evidence: AttemptCompleted | ProbeCompleted) -> Record:
    """Return the record that `evidence` leads to."""
    record = Record(target=TARGET)
    for piece in evidence:
        record = fold(record, piece, POLICY)
    return record


@pytest.mark.parametrize("fault", BLOCKS)
def test_a_refusal_blocks_and_never_ejects(fault: Fault) -> None:
    """429 is about capacity: no number of them changes the standing."""
    record = after(answered(1.0), *(failed(float(second), fault) for second in range(2, 40)))
    seen = view(record, 40.0)
    assert (seen.standing, seen.success_ratio, seen.last_fault) == (Standing.HEALTHY, 1.0, fault)
    assert seen.blocked_until is not None
    assert seen.blocked_until > 39.0


@pytest.mark.parametrize(("hint", "wait"), [(20.0, 20.0), (7200.0, 7200.0), (math.inf, 86_400.0)])
def test_the_providers_hint_sets_the_block(hint: float, wait: float) -> None:
    """The block lasts as long as the provider asks, at most a day."""
    record = after(attempt(Outcome(fault=Fault.RATE_LIMITED, retry_after_s=hint), 10.0))
    assert view(record, 10.0).blocked_until == 10.0 + wait


def test_refusals_without_a_hint_double_up_to_eight_seconds() -> None:
    """Half a second, then twice as long for each further round."""
    record, now, waits = Record(target=TARGET), 10.0, []
    for _ in range(8):
        record = fold(record, failed(now, Fault.RATE_LIMITED), POLICY)
        waits.append(record.block.until - now)
        now = record.block.until + 1.0
    assert waits == [0.5, 1, 2, 4, 8, 8, 8, 8]
    record = fold(fold(record, answered(now), POLICY), failed(now + 1, Fault.RATE_LIMITED), POLICY)
    assert record.block.until == now + 1.5


def test_refusals_of_one_burst_are_one_round() -> None:
    """Ten requests that were under way together double nothing."""
    record = after(*(failed(10.0 + part / 100, Fault.RATE_LIMITED, took=1.0) for part in range(10)))
    assert record.block.guesses == 1
    assert record.block.until == pytest.approx(10.59)


def test_a_spent_quota_without_a_hint_blocks_for_an_hour() -> None:
    """A quota comes back slower than a rate."""
    assert after(failed(10.0, Fault.QUOTA)).block.until == 3610.0


def test_an_answer_to_an_earlier_request_leaves_the_block() -> None:
    """Only what was sent after the refusal can prove that there is room again."""
    record = after(attempt(Outcome(fault=Fault.RATE_LIMITED, retry_after_s=30.0), 10.0))
    early = fold(record, answered(12.0, took=5.0), POLICY)
    assert view(early, 12.0).blocked_until == 40.0
    listing = fold(early, probed(ProbeKind.CATALOG, 13.0), POLICY)
    assert view(listing, 13.0).blocked_until == 40.0
    late = fold(early, answered(14.0, took=1.0), POLICY)
    assert view(late, 14.0).blocked_until is None


def test_a_shorter_hint_does_not_shorten_a_block() -> None:
    """Of two refusals the later end holds."""
    refusals = [attempt(Outcome(fault=Fault.RATE_LIMITED, retry_after_s=hint), 10.0) for hint in (30.0, 2.0)]
    assert after(*refusals).block.until == 40.0


def test_a_block_ends_by_itself() -> None:
    """At its time the target is free again, without any evidence."""
    record = after(attempt(Outcome(fault=Fault.RATE_LIMITED, retry_after_s=30.0), 10.0))
    assert next_wake(record) == 40.0
    assert view(tick(record, POLICY, 39.9), 39.9).blocked_until == 40.0
    assert view(tick(record, POLICY, 40.0), 40.0).blocked_until is None


@pytest.mark.parametrize("kind", [ProbeKind.LIVENESS, ProbeKind.CATALOG])
def test_a_rate_limited_listing_blocks_nothing(kind: ProbeKind) -> None:
    """Our own probes must not lock a target out of serving."""
    assert view(after(probed(kind, 5.0, Fault.RATE_LIMITED)), 5.0).blocked_until is None


def test_a_refusal_on_trial_neither_fails_nor_passes_it() -> None:
    """A 429 blocks and leaves the trial open."""
    trial = Record(target=TARGET, standing=Standing.PROBATION, since=10.0)
    record = fold(trial, failed(20.0, Fault.RATE_LIMITED), POLICY)
    assert (record.standing, record.block.until) == (Standing.PROBATION, 20.5)


def test_a_guessed_block_leaves_the_target_unsure_until_something_is_answered() -> None:
    """Nobody said when it ends: one request finds out, and only one that was sent after the refusal."""
    record = tick(after(failed(10.0, Fault.RATE_LIMITED)), POLICY, 11.0)
    assert (view(record, 11.0).blocked_until, view(record, 11.0).unsure) == (None, True)
    assert view(fold(record, answered(12.0, took=5.0), POLICY), 12.0).unsure
    assert not view(fold(record, answered(12.0, took=0.5), POLICY), 12.0).unsure
    hinted = after(attempt(Outcome(fault=Fault.RATE_LIMITED, retry_after_s=1.0), 10.0))
    assert not view(tick(hinted, POLICY, 12.0), 12.0).unsure
