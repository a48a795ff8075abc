"""What counts of tokens and embeddings say of a target that also writes answers, and of one that does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from probes.surfaces import Surface
from state.faults import Fault, Scope
from state.health import fold
from state.messages import AttemptCompleted
from state.neighbours import hear
from state.outcome import Outcome, Work
from state.policy import HealthPolicy
from state.record import Record, view
from state.standing import Standing
from tests.rigs.evidence import TARGET, answered, attempt, failed
from tests.rigs.registry_house import OTHER, House, in_house
from tests.rigs.virtual_time import START

POLICY = HealthPolicy()
NEW = Record(target=TARGET)
HEALTHY = fold(NEW, answered(1.0, took=2.0), POLICY)


def counted(evidence: AttemptCompleted) -> AttemptCompleted:
    """Return the evidence as that of a count of tokens."""
    return replace(evidence, work=Work.COUNT)


def embedded(evidence: AttemptCompleted) -> AttemptCompleted:
    """Return the evidence as that of embeddings."""
    return replace(evidence, work=Work.EMBED)


def after(record: Record, *evidence: AttemptCompleted) -> Record:
    """Return the record after the evidence."""
    for each in evidence:
        record = fold(record, each, POLICY)
    return record


def test_every_surface_says_what_it_asks_for() -> None:
    """Only what generates is proof of generating."""
    work = {surface: surface.work for surface in Surface if surface.work is not Work.GENERATE}
    assert work == {Surface.EMBEDDINGS: Work.EMBED, Surface.COUNT_TOKENS: Work.COUNT}
    assert [surface for surface in Surface if surface.generates != (surface not in work)] == []


def test_counts_that_pass_hide_no_requests_that_fail() -> None:
    """A server that counts and cannot write is ejected as if it did not count."""
    record = HEALTHY
    for second in range(2, 5):
        record = after(record, counted(answered(float(second))), failed(second + 0.5, Fault.OVERLOADED))
    assert record.standing is Standing.COOLING


def test_a_count_readmits_nobody() -> None:
    """Neither a newcomer nor a target on trial is healthy because it counts."""
    trial = replace(NEW, standing=Standing.PROBATION, since=1.0)
    assert after(NEW, counted(answered(2.0))).standing is Standing.UNPROVEN
    assert after(trial, counted(answered(3.0))).standing is Standing.PROBATION


def test_counts_that_fail_eject_as_a_probe_does() -> None:
    """What cannot be reached cannot serve; the cause says what failed."""
    lost = [counted(failed(float(second), Fault.UNREACHABLE)) for second in (2, 3, 4)]
    assert after(HEALTHY, *lost).standing is Standing.COOLING
    trial = after(replace(NEW, standing=Standing.PROBATION, since=1.0), lost[0])
    assert (trial.standing, trial.cause) == (Standing.COOLING, "token count failed: unreachable")


@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED, Fault.QUOTA, Fault.MODEL_NOT_FOUND, Fault.OVERLOADED])
def test_a_count_that_is_refused_blocks_no_completions(fault: Fault) -> None:
    """Counting has limits of its own, and some servers do not have it at all."""
    evidence = counted(attempt(Outcome(fault=fault, retry_after_s=9.0, reaches=Scope.CREDENTIAL), 2.0))
    record = after(HEALTHY, replace(evidence, in_flight=9))
    assert (record.block, record.refusal, record.limit) == (HEALTHY.block, HEALTHY.refusal, 0)
    heard = hear(HEALTHY, evidence, POLICY)
    assert (heard.block, heard.refusal) == (HEALTHY.block, HEALTHY.refusal)


@pytest.mark.parametrize("as_other", [counted, embedded])
def test_neither_counts_nor_embeddings_say_how_fast_answers_are_written(
    as_other: Callable[[AttemptCompleted], AttemptCompleted],
) -> None:
    """A count in 50 ms makes no target of two seconds fast."""
    record = after(HEALTHY, *(as_other(answered(2.0 + second, took=0.05)) for second in range(9)))
    assert (record.estimator, record.latencies) == (HEALTHY.estimator, HEALTHY.latencies)


def test_embeddings_judge_their_target() -> None:
    """They are requests: they readmit, and they eject."""
    assert after(NEW, embedded(answered(2.0))).standing is Standing.HEALTHY
    assert after(HEALTHY, *(embedded(failed(float(at))) for at in (2, 3, 4))).standing is Standing.COOLING


def test_a_target_of_embeddings_alone_is_chosen_by_their_plain_average() -> None:
    """It has no estimator to go by; once it writes, they are forgotten."""
    record = after(NEW, embedded(answered(2.0, took=0.2)), embedded(answered(3.0, took=0.4)))
    seen = view(record, 3.0)
    assert (seen.mean_s, seen.samples) == (pytest.approx(0.3), 2)
    writes = view(after(record, answered(9.0, took=2.0)), 9.0)
    assert (writes.mean_s, writes.samples, writes.p50_s) == (None, 1, 2.0)


def test_a_count_proves_no_key_to_the_others_and_hides_no_proof() -> None:
    """Counting is free; the next answer that cost something ends the block."""

    async def scene(house: House) -> None:
        await house.say(attempt(Outcome(fault=Fault.QUOTA, reaches=Scope.CREDENTIAL), START + 1))
        await house.say(counted(answered(START + 3)))
        assert house.newest(OTHER).blocked_by is Fault.QUOTA
        await house.say(answered(START + 5))
        assert house.newest(OTHER).blocked_by is None

    in_house(scene)
