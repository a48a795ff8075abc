"""Days and months of a time zone, as stretches of Unix time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.limits.calendar import Period, told_at, window_at, zone_named

_ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Africa/Cairo", "America/Havana", "Pacific/Apia"]


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@given(st.sampled_from(_ZONES), st.sampled_from(Period), st.floats(0, 4e9))
def test_every_moment_lies_in_one_window_and_windows_abut(zone: str, period: Period, unix: float) -> None:
    """Law: days and months cover time without a gap and without an overlap, whatever clocks do."""
    there = zone_named(zone)
    window = window_at(period, unix, there)
    assert unix in window
    assert window_at(period, window.ends, there).begins == window.ends
    assert window_at(period, window.begins, there) == window


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29T12:00+02:00", 23), ("2026-10-25T12:00+01:00", 25), ("2026-11-28T12:00+01:00", 24)]
)
def test_a_day_is_as_long_as_the_zone_makes_it(day: str, hours: int) -> None:
    """Law: the days on which clocks change have 23 and 25 hours."""
    window = window_at(Period.DAY, _unix(day), ZoneInfo("Europe/Berlin"))
    assert (window.ends - window.begins) / 3600 == hours


def test_a_day_whose_midnight_is_skipped_begins_when_clocks_change() -> None:
    """Law: in Cairo clocks go from midnight to one o'clock; the day before ends there."""
    window = window_at(Period.DAY, _unix("2024-04-26T12:00+03:00"), ZoneInfo("Africa/Cairo"))
    assert window.begins == _unix("2024-04-26T00:00+02:00")


def test_a_month_ends_where_its_zone_says() -> None:
    """Law: the last evening of a month in UTC may be the next month elsewhere."""
    evening = _unix("2026-11-30T23:30+00:00")
    assert window_at(Period.MONTH, evening, UTC).begins == _unix("2026-11-01T00:00+00:00")
    assert window_at(Period.MONTH, evening, ZoneInfo("Europe/Berlin")).begins == _unix("2026-12-01T00:00+01:00")


def test_when_something_frees_is_told_in_the_zone() -> None:
    """Law: a person reads their own clock, with its offset."""
    assert told_at(_unix("2026-11-28T23:00+00:00"), ZoneInfo("Europe/Berlin")) == "2026-11-29T00:00+01:00"


@pytest.mark.parametrize("name", ["Europe/Nowhere", "", "../etc/passwd", "/etc/localtime"])
def test_a_zone_that_nobody_knows_is_an_error_that_says_what_to_write(name: str) -> None:
    """Law: the time zone is checked when it is read, and no path is one."""
    with pytest.raises(ValueError, match="Europe/Berlin"):
        zone_named(name)
