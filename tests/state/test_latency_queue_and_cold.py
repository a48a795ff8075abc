"""Laws of the knee, of cold starts and of lengths: learned from what happens, and forgotten when it happens no more."""

from __future__ import annotations

import math
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.latency.cold import Cold, after_pause
from state.latency.estimator import NEWCOMER, Estimator, Sight, after_first
from state.latency.knee import Knee, after_load, queue_wait
from state.latency.lengths import Lengths, after_length
from state.latency.level import Level

USUAL = Level(0.0, variance=0.01, noise=0.02, count=20)
"""A second to the first token."""
LOADS = st.lists(st.tuples(st.integers(1, 200), st.floats(0.1, 60.0)), max_size=60)


def loaded(knee: Knee, *seen: tuple[int, float]) -> Knee:
    """Return the knee after first tokens of so many seconds, each with so many in flight; a request takes 2 s."""
    return reduce(lambda held, one: after_load(held, USUAL, one[1], (one[0], 2.0, 1.0))[0], seen, knee)


@given(LOADS, st.integers(1, 500))
def test_a_wait_is_never_negative_and_grows_with_the_line(seen: list[tuple[int, float]], in_flight: int) -> None:
    """And there is none while no queue was ever seen, however many are there."""
    knee = loaded(Knee(), *seen)
    waits = [queue_wait(knee, in_flight + more, 2.0) for more in (0, 1, 50)]
    assert 0.0 <= waits[0] <= waits[1] <= waits[2] < math.inf
    assert knee.known or waits == [0.0] * 3
    assert 0.0 < knee.fine <= 200
    assert knee.at_once >= 1.0


def test_one_slow_answer_is_no_queue_and_two_in_a_row_are() -> None:
    """A lone straggler under load must not make the target look full."""
    once = loaded(Knee(), (4, 1.0), (20, 9.0))
    assert not once.known
    assert loaded(once, (20, 9.0)).known
    assert not loaded(once, (4, 1.0), (20, 9.0)).known


def test_the_knee_is_found_about_where_it_is() -> None:
    """Four are served at once in 2 s each: with twelve in flight the last waits 4 s."""
    knee = loaded(Knee(), (4, 1.0), *[(12, 5.0)] * 12)
    assert 3.5 <= knee.at_once <= 5.0
    assert queue_wait(knee, 12, 2.0) == pytest.approx(4.0, rel=0.3)
    assert queue_wait(knee, 3, 2.0) == 0.0


def test_a_knee_that_has_gone_is_forgotten() -> None:
    """A provider that has grown: answers at their usual time above the knee push it up, one each."""
    knee = loaded(Knee(), (4, 1.0), *[(12, 5.0)] * 12)
    assert queue_wait(loaded(knee, *[(30, 1.0)] * 30), 30, 2.0) == 0.0


@given(st.integers(1, 20), st.integers(1, 20), st.integers(2, 40))
def test_slowness_at_a_load_that_was_fine_is_no_queue(fine: int, more: int, times: int) -> None:
    """A brownout: the level has to learn it, and so it is told, until what was fine is long ago."""
    knee = loaded(Knee(), (fine + more, 1.0))
    for _ in range(times):
        knee, queued = after_load(knee, USUAL, 9.0, (fine, 2.0, 1.0))
        assert not queued
    assert not knee.known


def warmed(*idle: float, slow_s: float = 5.0, warm_above: float = math.inf) -> Estimator:
    """Return what is believed after a second's first token, and then after pauses, those from 60 s on being slow."""
    estimator, at = NEWCOMER, 0.0
    for number in range(20):
        estimator, at = after_first(estimator, 1.0, Sight(float(number))), float(number)
    for pause in idle:
        at += pause
        seconds = slow_s if 60.0 <= pause < warm_above else 1.0
        estimator = after_first(estimator, seconds, Sight(at, idle_s=pause))
        for _ in range(5):
            at += 1.0
            estimator = after_first(estimator, 1.0, Sight(at, idle_s=1.0))
    return estimator


def test_a_cold_start_is_learned_and_leaves_the_level_alone() -> None:
    """After a pause of that length the next answer is expected later, and after a shorter one it is not."""
    estimator = warmed(100.0, 100.0)
    assert estimator.cold.wait(100.0) == pytest.approx(4.0, rel=0.1)
    assert estimator.cold.wait(50.0) == 0.0
    assert math.exp(estimator.first.mean) == pytest.approx(1.0, rel=0.05)


def test_the_shortest_pause_that_was_cold_counts() -> None:
    """The gap shrinks to what was seen."""
    assert warmed(300.0, 70.0).cold.gap_s == 70.0


def test_a_cold_start_that_does_not_come_is_forgotten() -> None:
    """A provider that now keeps it warm: each pause without a cold start moves the gap beyond it."""
    assert warmed(100.0, 200.0, warm_above=150.0).cold.gap_s == pytest.approx(240.0)
    assert warmed(100.0, 200.0, warm_above=150.0).cold.wait(200.0) == 0.0


def test_a_usual_pause_is_no_idleness() -> None:
    """Under twenty seconds a slow answer is slow, and who was never seen has nothing to be compared with."""
    assert after_pause(Cold(), USUAL, 9.0, 19.0) == (Cold(), False)
    assert after_pause(Cold(), Level(0.0), 9.0, 100.0) == (Cold(), False)
    assert after_pause(Cold(), USUAL, 9.0, 21.0) == (Cold(8.0, 21.0, 1), True)


def test_what_is_never_warm_is_slow_and_not_cold() -> None:
    """After three cold starts without a warm answer between them the level learns: nobody is cold for ever."""
    held, told = Cold(), list[bool]()
    for _ in range(4):
        held, was_cold = after_pause(held, USUAL, 9.0, 30.0)
        told.append(was_cold)
    assert told == [True, True, True, False]
    assert held == Cold()


@given(st.lists(st.tuples(st.floats(0.01, 1e6), st.floats(0.0, 1e6)), max_size=40), st.floats(0.0, 1e6))
def test_a_cold_start_never_promises_time(seen: list[tuple[float, float]], idle_s: float) -> None:
    """Whatever was seen, it costs and never saves."""
    cold = reduce(lambda held, one: after_pause(held, USUAL, *one)[0], seen, Cold())
    assert 0.0 <= cold.wait(idle_s) < math.inf
    assert cold.gap_s >= 20.0


def test_lengths_without_experience_follow_the_limit() -> None:
    """Half of what is allowed, and two hundred tokens where nothing is said."""
    assert Lengths().expected(None) == 200.0
    assert Lengths().expected(1000) == 500.0


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_lengths_are_learned_from_experience(tokens: int, limit: int) -> None:
    """Answers to requests with a limit and to those without are two experiences, and neither touches the other."""
    free = reduce(lambda held, _: after_length(held, tokens, None), range(60), Lengths())
    assert free.expected(None) == pytest.approx(tokens, abs=5.0 + 0.05 * tokens)
    assert free.expected(1000) == Lengths().expected(1000)
    bound = reduce(lambda held, _: after_length(held, min(tokens, limit), limit), range(60), Lengths())
    assert bound.expected(limit) == pytest.approx(min(tokens, limit), abs=0.05 * limit + 1.0)
    assert bound.expected(None) == Lengths().expected(None)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.one_of(st.none(), st.integers(-5, 10**6))), max_size=50))
def test_no_answer_is_expected_beyond_its_limit(seen: list[tuple[int, int | None]]) -> None:
    """Though a provider counts more tokens than it was allowed, and a client allows none or fewer."""
    lengths = reduce(lambda held, one: after_length(held, *one), seen, Lengths())
    assert 0.0 <= lengths.expected(100) <= 100.0
    assert 0.0 <= lengths.expected(None) <= 10**6


def test_an_experience_can_change() -> None:
    """After a hundred long answers, two hundred short ones are believed."""
    lengths = reduce(lambda held, _: after_length(held, 2000, None), range(100), Lengths())
    assert reduce(lambda held, _: after_length(held, 10, None), range(200), lengths).expected(None) < 60
