"""Laws of one level: it follows a change, shrugs at a straggler, and doubts what it saw long ago."""

from __future__ import annotations

import math
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.latency.level import Level, doubted, expected, learned, p99, sure_until, variance_at

SECONDS = st.floats(min_value=5e-324, allow_infinity=False, allow_nan=False)
SOME_SECONDS = st.floats(0.001, 600.0)
FACTORS = st.one_of(st.floats(4.0, 100.0), st.floats(0.01, 0.25))
SEEN = st.lists(st.tuples(SOME_SECONDS, st.floats(0.0, 100.0), st.floats(1.0, 16.0)), max_size=30)
STRANGER = Level(0.0)


def levelled(seen: list[tuple[float, float, float]]) -> Level:
    """Return the level after observations, each of (seconds, pause before it, doubt)."""
    level, at = STRANGER, 0.0
    for seconds, pause, doubt in seen:
        at += pause
        level = learned(level, seconds, at, doubt)
    return level


def settled(seconds: float, scatter: float = 1.2) -> Level:
    """Return the level after forty observations, one a second, that scatter about `seconds`."""
    return levelled([(seconds * (scatter if number % 2 else 1 / scatter), 1.0, 1.0) for number in range(40)])


def median(level: Level) -> float:
    """Return the seconds that it believes in."""
    return math.exp(level.mean)


@given(SOME_SECONDS, FACTORS, st.floats(1.0, 1.3))
def test_a_level_follows_a_change_point_within_three_observations(usual: float, factor: float, scatter: float) -> None:
    """From then on its median is that of the new regime, whichever way and however far it went."""
    level = settled(usual, scatter)
    for number in range(3):
        level = learned(level, factor * usual, 41.0 + number)
    assert median(level) == pytest.approx(factor * usual, rel=0.25)


@given(SOME_SECONDS, st.floats(4.0, 100.0))
def test_two_strange_observations_of_one_kind_are_enough(usual: float, factor: float) -> None:
    """The second outlier of the same sign moves the level nearly all the way, and its age in that regime is none."""
    level = settled(usual)
    for number in range(2):
        level = learned(level, factor * usual, 41.0 + number)
    assert median(level) == pytest.approx(factor * usual, rel=0.15)
    assert (level.steady, level.run) == (0, 0)


@given(SOME_SECONDS, FACTORS)
def test_a_lone_straggler_hardly_moves_it(usual: float, factor: float) -> None:
    """It is clipped: the median stays within a fifth, and the next usual answer ends the run."""
    before = settled(usual)
    after = learned(before, factor * usual, 41.0)
    assert median(after) == pytest.approx(median(before), rel=0.2)
    assert learned(after, usual, 42.0).run == 0


@given(SOME_SECONDS, st.floats(4.0, 50.0))
def test_stragglers_on_either_side_are_no_change(usual: float, factor: float) -> None:
    """One above and one below are two outliers, and not two in a row of the same sign."""
    before = settled(usual)
    after = learned(learned(before, factor * usual, 41.0), usual / factor, 42.0)
    assert abs(after.run) == 1
    assert median(after) == pytest.approx(median(before), rel=0.4)


@given(SOME_SECONDS)
def test_the_first_observation_makes_the_level(seconds: float) -> None:
    """What was assumed of a stranger says nothing of it; only what is much doubted does not count so."""
    assert median(learned(STRANGER, seconds, 1.0)) == pytest.approx(max(seconds, 1e-6))
    doubtful = learned(STRANGER, seconds, 1.0, 12.0)
    assert min(1.0, seconds) <= median(doubtful) <= max(1.0, seconds)


@given(SEEN, st.floats(0.0, 1e6), st.floats(0.0, 1e6))
def test_what_is_stale_is_uncertain_and_never_more_than_a_stranger(
    seen: list[tuple[float, float, float]], one: float, more: float
) -> None:
    """The variance grows with time, up to 1."""
    level = levelled(seen)
    assert (
        variance_at(level, level.at) <= variance_at(level, level.at + one) <= variance_at(level, level.at + one + more)
    )
    assert variance_at(level, level.at + one + more) <= 1.0
    assert variance_at(level, level.at + 1e9) == 1.0
    assert variance_at(level, level.at - one) == min(1.0, level.variance)


@given(SEEN, SECONDS, st.floats(0.0, 1e9), st.floats(1.0, 1e12))
def test_no_positive_length_of_time_makes_it_useless(
    seen: list[tuple[float, float, float]], seconds: float, at: float, doubt: float
) -> None:
    """From a denormal to the largest float: what is believed stays finite, and within its ranges."""
    level = levelled(seen)
    for _ in range(3):
        level = learned(level, seconds, at, doubt)
        numbers = (level.mean, level.variance, level.noise, level.tail, expected(level, at), variance_at(level, at))
        assert all(math.isfinite(number) for number in numbers)
        assert 0.01 <= level.noise <= 0.4
        assert 1.0 <= level.tail <= 3.0
        assert level.variance >= 0.0


@given(SOME_SECONDS, st.floats(0.8, 1.25), st.floats(1.5, 16.0))
def test_what_is_doubted_moves_it_less(usual: float, factor: float, doubt: float) -> None:
    """The same observation, more doubted: a smaller step in the same direction."""
    before = settled(usual)
    plain, doubtful = (learned(before, factor * usual, 41.0, each).mean - before.mean for each in (1.0, doubt))
    assert abs(doubtful) <= abs(plain) + 1e-12
    assert plain * doubtful >= 0.0


@given(SEEN, st.floats(0.0, 1000.0), st.floats(0.0, 1.0))
def test_doubt_only_ever_grows_the_variance(seen: list[tuple[float, float, float]], later: float, least: float) -> None:
    """Whoever doubts what is unsure already changes nothing, and never makes it surer."""
    before = levelled(seen)
    at = before.at + later
    after = doubted(before, at, least)
    assert variance_at(after, at) == max(variance_at(before, at), least)
    assert (after.mean, after.count, after.noise) == (before.mean, before.count, before.noise)
    assert doubted(after, at, least) == after


@given(SEEN, st.floats(0.0, 1e6))
def test_the_unsure_looks_a_little_better_than_it_is(seen: list[tuple[float, float, float]], later: float) -> None:
    """Curiosity: at most a factor of exp(1/2), and none until the moment that is told."""
    level = levelled(seen)
    plain, now = median(level) * level.tail, level.at + later
    assert plain * math.exp(-0.5) <= expected(level, now) <= plain
    if now <= sure_until(level) - 1e-6:
        assert expected(level, now) == plain
    assert p99(level, now) >= median(level)


def test_a_quiet_target_is_surer_than_one_that_scatters() -> None:
    """What scatters is learned: the same straggler is strange at the one, and usual at the other."""
    quiet, loud = settled(1.0, 1.02), settled(1.0, 2.5)
    assert quiet.noise < loud.noise
    assert p99(quiet, 41.0) < p99(loud, 41.0)
    assert learned(quiet, 2.5, 41.0).run == 1
    assert learned(loud, 2.5, 41.0).run == 0


def test_a_long_tail_is_learned_and_forgotten() -> None:
    """One in ten that takes five times as long makes the average longer than the median, until it happens no more."""
    seen = [(5.0 if number % 10 == 9 else 1.0, 1.0, 1.0) for number in range(200)]
    tailed = levelled(seen)
    assert tailed.tail > 1.2
    forgiven = reduce(lambda level, number: learned(level, 1.0, 200.0 + number), range(200), tailed)
    assert forgiven.tail < 1.05
