"""Rates by the minute, as one number that is a time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits.rates import frees_in, given_back, left_in, taken

_AMOUNTS = st.integers(1, 1000)


def test_a_minutes_worth_may_come_at_once_and_then_one_by_one() -> None:
    """Law: 60 a minute are 60 now, and the next a second later."""
    full_at = 0.0
    for _ in range(60):
        assert frees_in(full_at, 1, 60, 100.0) == 0.0
        full_at = taken(full_at, 1, 60, 100.0)
    assert frees_in(full_at, 1, 60, 100.0) == pytest.approx(1.0)
    assert frees_in(full_at, 1, 60, 101.0) == 0.0


def test_what_is_more_than_a_minutes_worth_never_fits() -> None:
    """Law: waiting does not help a request that is larger than the bucket."""
    assert frees_in(0.0, 61, 60, 100.0) == math.inf


@given(st.lists(st.tuples(st.floats(0.0, 30.0), _AMOUNTS), max_size=60), st.integers(1, 1000))
def test_no_stretch_of_time_sees_more_than_its_share_and_one_bucket(
    arrivals: list[tuple[float, int]], rate: int
) -> None:
    """Law: within any T seconds at most rate * (T + 60) / 60 are let through."""
    full_at, now = 0.0, 0.0
    passed: list[tuple[float, int]] = []
    for pause, amount in arrivals:
        now += pause
        if not frees_in(full_at, amount, rate, now):
            full_at = taken(full_at, amount, rate, now)
            passed.append((now, amount))
    for first, (begun, _) in enumerate(passed):
        total = 0
        for at, amount in passed[first:]:
            total += amount
            assert total <= rate * (at - begun + 60.0) / 60.0 + 1e-3


@given(st.floats(0.0, 1e6), _AMOUNTS, st.integers(1, 1000))
def test_it_frees_when_it_says(now: float, amount: int, rate: int) -> None:
    """Law: after the wait that was told there is room, and not long before."""
    full_at = taken(0.0, rate, rate, now)
    wait_s = frees_in(full_at, amount, rate, now)
    if math.isfinite(wait_s):
        assert frees_in(full_at, amount, rate, now + wait_s + 1e-5) == 0.0
        assert frees_in(full_at, amount, rate, now + 0.99 * wait_s) > 0.0


@given(st.floats(0.0, 1e6), _AMOUNTS, _AMOUNTS)
def test_what_is_given_back_leaves_nothing_behind(now: float, before: int, amount: int) -> None:
    """Law: taking and giving back is as if nothing had happened."""
    bucket = taken(0.0, before, 500, now)
    again = given_back(taken(bucket, amount, 500, now), amount, 500)
    assert left_in(again, 500, now) == pytest.approx(left_in(bucket, 500, now), abs=1e-3)


def test_a_debt_is_waited_for() -> None:
    """Law: tokens that came in excess of the estimate are paid back before the next request."""
    bucket = taken(taken(0.0, 100, 100, 10.0), 100, 100, 10.0)
    assert left_in(bucket, 100, 10.0) == pytest.approx(-100.0)
    assert frees_in(bucket, 1, 100, 10.0) == pytest.approx(60.6)
