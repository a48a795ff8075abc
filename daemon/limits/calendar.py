"""When a day or a month begins and ends, in the time zone in which budgets are counted. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from daemon.limits.policy import Period

__all__ = ["bounds_of", "when", "zone_named"]


def bounds_of(period: Period, unix_s: float, zone: tzinfo) -> tuple[float, float]:
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


def zone_named(name: str) -> tzinfo:
    """Return the time zone of that name. Raises ValueError where the system's database has none.

    UTC needs no database: it is what holds where nothing is said.
    """
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - most need no database of zones

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # zoneinfo's own error is a KeyError
        raise ValueError(f"timezone {name!r} is not known here; give a name such as Europe/Berlin, or UTC") from error


def when(unix_s: float, zone: tzinfo) -> str:
    """Return a moment as people of that zone read it, to the minute, with its offset."""
    return datetime.fromtimestamp(unix_s, zone).isoformat(timespec="minutes")
