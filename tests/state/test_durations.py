"""Durations as people write them, and as nobody should be able to."""

from __future__ import annotations

import pytest

from state.durations import parse_duration


@pytest.mark.parametrize(("text", "seconds"), [("250ms", 0.25), ("1h30m", 5400), ("1.5s", 1.5), ("1m1ms", 60.001)])
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: float) -> None:
    """Law: each number with its unit counts."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1 s", "-1s", "1s ", "1.s", "1s5", "9" * 8000, "9" * 8000 + "s"])
def test_what_is_no_duration_is_refused_at_once(text: str) -> None:
    """Law: also thousands of digits, which come over HTTP too (`?since=`): neither slowly nor as infinity."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
