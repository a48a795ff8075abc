"""When a day or a month begins and ends, in the time zone in which budgets are counted. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from daemon.limits.policy import Period

__all__ = ["bounds_of", "when"]


def bounds_of(period: Period, unix_s: float, zone: ZoneInfo) -> tuple[float, float]:
    """Return when the day or month around `unix_s` begins and ends, in Unix seconds.

    By the calendar: a day in which clocks are put back has 25 hours.
    """
    midnight = datetime.fromtimestamp(unix_s, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period is Period.DAY:
        begin, end = midnight, midnight + timedelta(days=1)
    else:
        begin = midnight.replace(day=1)
        end = (begin + timedelta(days=32)).replace(day=1)
    return begin.timestamp(), end.timestamp()


def when(unix_s: float, zone: ZoneInfo) -> str:
    """Return a moment as people of that zone read it, to the minute, with its offset."""
    return datetime.fromtimestamp(unix_s, zone).isoformat(timespec="minutes")
