"""Laws of the windows and of the estimate made from them."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.outcome import Outcome
from state.window import WINDOW_LIMIT, Estimate, Window, estimate, latency_of, share_succeeded

ENTRIES = st.lists(st.tuples(st.floats(0.0, 50.0), st.floats(1e-3, 100.0)), max_size=150)


def filled(entries: list[tuple[float, float]], span: float) -> tuple[Window[float], float]:
    """Return the window after each (pause, value) and the time of the last."""
    window, now = Window[float](), 0.0
    for pause, value in entries:
        now += pause
        window = window.add(value, now, span)
    return window, now


@given(ENTRIES, st.floats(1.0, 500.0), st.floats(0.0, 600.0))
def test_a_window_holds_the_newest_values_that_are_young_enough(
    entries: list[tuple[float, float]], span: float, later: float
) -> None:
    """Against the plain model: the last 100 of those younger than the span, in their order."""
    window, now = filled(entries, span)
    times, clock = [], 0.0
    for pause, _ in entries:
        clock += pause
        times.append(clock)
    model = [value for (_, value), at in zip(entries, times, strict=True) if at > now + later - span]
    assert list(window.fresh(now + later)) == model[-WINDOW_LIMIT:]
    assert len(window.values) <= WINDOW_LIMIT


def test_a_busy_target_keeps_its_latest_latencies() -> None:
    """However many come within the span."""
    window, _ = filled([(0.001, float(number)) for number in range(1, 201)], 45.0)
    assert window.values == tuple(float(number) for number in range(101, 201))
    assert len(window.times) == len(window.values) == WINDOW_LIMIT


@given(ENTRIES)
def test_the_median_is_the_median(entries: list[tuple[float, float]]) -> None:
    """p50 and the expected latency agree with the statistics module; p95 bounds 95 of 100 samples."""
    window, now = filled(entries, 1e6)
    made = estimate(window, 9.0, now)
    samples = window.fresh(now)
    if not samples:
        assert made == Estimate(expected_s=9.0)
        return
    assert made.expected_s == made.p50_s == pytest.approx(statistics.median(samples))
    assert made.samples == len(samples)
    assert made.p95_s in samples
    assert sum(sample <= made.p95_s for sample in samples) >= 0.95 * len(samples)


def test_an_empty_window_expects_what_the_latest_probe_took() -> None:
    """A probe is a weak estimate: it counts only where no request was seen, and is no sample."""
    assert estimate(Window(), 0.2, 0.0) == Estimate(expected_s=0.2)
    assert estimate(Window(), None, 0.0) == Estimate()
    assert estimate(Window[float]().add(3.0, 1.0, 10.0), 0.2, 2.0).expected_s == 3.0
    assert estimate(Window[float]().add(3.0, 1.0, 10.0), 0.2, 11.0) == Estimate(expected_s=0.2)


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (Outcome(latency_s=2.0), 2.0),
        (Outcome(latency_s=2.0, first_byte_s=0.5), 2.0),
        (Outcome(latency_s=2.0, first_byte_s=0.5, streamed=True), 0.5),
        (Outcome(latency_s=2.0, streamed=True), 2.0),
        (Outcome(), None),
        (Outcome(latency_s=math.nan), None),
        (Outcome(latency_s=math.inf), None),
    ],
)
def test_a_stream_is_judged_by_its_first_byte_and_an_unknown_latency_by_nothing(
    outcome: Outcome, seconds: float | None
) -> None:
    """What was not measured is unknown, never zero: zero would be the fastest of all."""
    assert latency_of(outcome) == seconds


def test_a_window_tells_when_it_will_be_empty() -> None:
    """`empty_at` is when its newest value expires."""
    assert Window[float]().empty_at == math.inf
    window = Window[float]().add(1.0, 100.0, 45.0).add(1.0, 110.0, 45.0)
    assert window.empty_at == 155.0
    assert window.fresh(154.9) == (1.0,)
    assert window.fresh(window.empty_at) == ()


def test_late_news_does_not_disorder_a_window() -> None:
    """A value that arrives with an older time is filed as the newest."""
    window = Window[float]().add(1.0, 100.0, 45.0).add(2.0, 90.0, 45.0)
    assert window.times == (100.0, 100.0)
    assert window.fresh(140.0) == (1.0, 2.0)


def test_the_share_of_successes_is_of_the_fresh_outcomes() -> None:
    """Old failures are forgotten; with nothing left there is no share."""
    window = Window[bool]().add(False, 0.0, 45.0).add(True, 30.0, 45.0).add(False, 31.0, 45.0)  # noqa: FBT003
    assert share_succeeded(window, 31.0) == pytest.approx(1 / 3)
    assert share_succeeded(window, 50.0) == 0.5
    assert share_succeeded(window, 90.0) is None
