"""Sampling of choices, and the backlog: pure accounts that must add up."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from state.history.backlog import Backlog
from state.history.sampling import Sampling, sample
from tests.rigs.histories import attempt


def sampled(times: list[float], per_second: int) -> list[tuple[float, int]]:
    """Return when a choice was recorded, and how many it stands for."""
    sampling, kept = Sampling(), []
    for at in times:
        sampling, stands_for = sample(sampling, at, per_second)
        if stands_for:
            kept.append((at, stands_for))
    return kept


gaps = st.lists(st.floats(0.0, 0.4), max_size=300)


@given(gaps=gaps, per_second=st.integers(1, 20))
def test_what_the_recorded_choices_stand_for_never_exceeds_what_was_decided(gaps: list[float], per_second: int) -> None:
    """Each choice is counted once, and the few since the last recorded one are counted by the next."""
    times = list(itertools.accumulate(gaps, initial=50.0))
    stand_for = sum(number for _, number in sampled(times, per_second))
    assert stand_for <= len(times)
    later = [*times, *(times[-1] + 2.0 + second for second in range(2))]
    assert sum(number for _, number in sampled(later, per_second)) == len(later)


@given(gaps=gaps, per_second=st.integers(1, 20))
def test_choices_within_the_rate_are_all_recorded(gaps: list[float], per_second: int) -> None:
    """Sampling begins above the rate, not before."""
    times = list(itertools.accumulate((1 / per_second for _ in gaps), initial=50.0))
    spread = [at + index for index, at in enumerate(times)]
    assert len(sampled(spread, per_second)) == len(spread)


def test_a_burst_is_thinned_within_its_first_second() -> None:
    """Ten times the rate, out of nowhere, records a few times the rate at most."""
    kept = sampled([50 + n / 1000 for n in range(1000)], 100)
    assert len(kept) <= 500


def test_a_rate_of_zero_records_no_choice() -> None:
    """It is how an operator turns the recording off."""
    assert sampled([1.0, 2.0, 3.0], 0) == []


@given(st.lists(st.one_of(st.integers(1, 30), st.just("trim"), st.just("settle")), max_size=40))
def test_every_row_waits_or_is_written_or_is_counted_as_lost(steps: list[int | str]) -> None:
    """The account of the backlog adds up, whatever happens in which order, and it never grows beyond its limit."""
    backlog, posted, written, told = Backlog(50), 0, 0, 0
    for step in steps:
        if isinstance(step, int):
            for _ in range(step):
                posted += 1
                backlog.add(attempt(float(posted)))
        elif step == "trim":
            backlog.trim("disk full")
            assert len(backlog) <= 50
        else:
            written += len(backlog)
            told += sum(gap.count for gap in backlog.gaps(0.0))
            backlog.settle()
            assert not backlog.owing
    assert posted == written + len(backlog) + backlog.lost
    assert backlog.lost == told + sum(gap.count for gap in backlog.gaps(0.0))
