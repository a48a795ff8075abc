"""Laws of reliability: shares are shares, the past fades, and a run of failures is believed at once."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.faults import Fault
from state.health import fold
from state.latency.reliability import Reliability, after_cut, after_failure, after_success
from state.policy import HealthPolicy
from state.record import Record
from tests.rigs.evidence import TARGET, answered, failed

STEPS = st.lists(
    st.tuples(st.floats(0.0, 100.0), st.sampled_from(["answer", "stream", "failure", "cut"]), st.floats(0.0, 60.0)),
    max_size=60,
)
POLICY = HealthPolicy(fall=99, min_samples=99)


def reliability(steps: list[tuple[float, str, float]]) -> Reliability:
    """Return what is believed after the steps, each of (pause, what happened, seconds that it took)."""
    found, at = Reliability(), 0.0
    for pause, what, took in steps:
        at += pause
        match what:
            case "failure":
                found = after_failure(found, took, at)
            case "cut":
                found = after_cut(found, at)
            case _:
                found = after_success(found, at, 1.0 if what == "stream" else 0.0)
    return found


@given(STEPS, st.floats(0.0, 1e6))
def test_shares_lie_between_nothing_and_all(steps: list[tuple[float, str, float]], later: float) -> None:
    """Neither certain success nor certain failure is ever believed."""
    found = reliability(steps)
    now = found.at + later
    assert 0.0 < found.error_share(now) < 1.0
    assert 0.0 <= found.cut_share(now) < 1.0
    assert 0.0 <= found.failure_s <= 60.0


@given(STEPS)
def test_what_failed_is_forgotten(steps: list[tuple[float, str, float]]) -> None:
    """After ten minutes of nothing the share of errors is that of a stranger, and no stream is feared for."""
    found = reliability(steps)
    assert found.error_share(found.at + 900.0) <= 0.02
    assert found.cut_share(found.at + 3600.0) <= 1e-6


@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=20), st.floats(0.0, 300.0), st.floats(0.0, 300.0))
def test_the_share_of_one_who_only_failed_decays_with_time(pauses: list[float], one: float, more: float) -> None:
    """Time alone never makes the past look worse."""
    found = reliability([(pause, "failure", 0.1) for pause in pauses])
    shares = [found.error_share(found.at + later) for later in (0.0, one, one + more)]
    assert shares == sorted(shares, reverse=True)


@given(st.integers(0, 500), st.integers(1, 5))
def test_a_run_of_failures_is_believed_at_once(before: int, run: int) -> None:
    """However long it answered: n failures in a row mean a share of n in n + 2 at least, and a success ends that."""
    well = reliability([(1.0, "answer", 0.0)] * before)
    failing = reduce(lambda held, _: after_failure(held, 0.1, held.at), range(run), well)
    assert failing.error_share(failing.at) >= run / (run + 2)
    assert failing.error_share(failing.at) > well.error_share(well.at)
    again = after_success(failing, failing.at)
    assert again.run == 0
    assert again.error_share(again.at) < failing.error_share(failing.at)


def test_an_answer_to_an_older_request_does_not_end_a_run() -> None:
    """What was sent before the last that failed proves the past, not the present."""
    record = reduce(
        lambda held, second: fold(held, failed(100.0 + second), POLICY), range(3), Record(target=TARGET, since=0.0)
    )
    assert record.reliability.run == 3
    straggler = fold(record, answered(103.0, took=30.0), POLICY)
    assert straggler.reliability.run == 3
    assert straggler.reliability.error_share(103.0) > 0.4
    newer = fold(record, answered(103.0, took=0.5), POLICY)
    assert newer.reliability.run == 0
    assert newer.reliability.error_share(103.0) < straggler.reliability.error_share(103.0)


@pytest.mark.parametrize("fault", [Fault.INVALID_REQUEST, Fault.CANCELLED, Fault.CONTENT_FILTER, Fault.RATE_LIMITED])
def test_what_is_no_failure_of_the_target_costs_it_nothing(fault: Fault) -> None:
    """A caller's mistake, a client that left and a limit say nothing of how often it fails."""
    record = fold(Record(target=TARGET, since=0.0), answered(100.0), POLICY)
    assert fold(record, failed(101.0, fault), POLICY).reliability.failed == 0.0


def test_failures_cost_what_they_took() -> None:
    """Refusals within a millisecond are cheap; timeouts of half a minute are not."""
    quick = reliability([(1.0, "failure", 0.001)] * 10)
    slow = reliability([(1.0, "failure", 30.0)] * 10)
    assert quick.failure_s < 0.05
    assert slow.failure_s > 25.0


def test_a_cut_stream_is_feared_and_whole_ones_answer_for_it() -> None:
    """Its share falls with each stream that comes to its end; failures before content are no part of it."""
    cut = reliability([(0.0, "cut", 0.0)])
    assert cut.cut_share(0.0) > 0.1
    healed = reliability([(0.0, "cut", 0.0), *[(0.1, "stream", 0.0)] * 50])
    assert healed.cut_share(healed.at) < cut.cut_share(0.0) / 5
    assert reliability([(1.0, "failure", 0.1)] * 5).cut_share(5.0) == 0.0


@given(STEPS, st.floats(0.0, 1.0), st.floats(0.0, 100.0))
def test_mending_forgives_and_never_condemns(steps: list[tuple[float, str, float]], share: float, later: float) -> None:
    """The more of its failures is left, the worse; and mended it is never worse than before."""
    found = reliability(steps)
    now = found.at + later
    assert found.mended(0.0).error_share(now) <= found.mended(share).error_share(now) <= found.error_share(now)
    assert found.mended(share).run == 0
