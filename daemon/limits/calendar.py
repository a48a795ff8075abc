"""Days and months of a time zone as stretches of Unix time. Pure.

A day is as long as the zone makes it, 23 or 25 hours where clocks change; each begins where the one before ends.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

__all__ = ["Period", "Window", "told_at", "window_at", "zone_named"]


class Period(StrEnum):
    """How often a budget starts anew."""

    DAY = "day"
    MONTH = "month"


class Window(msgspec.Struct, frozen=True):
    """One day or month: from `begins` on and before `ends`, both Unix seconds."""

    period: Period
    begins: float
    ends: float

    def __contains__(self, unix: float) -> bool:
        """Return whether a Unix time lies in it."""
        return self.begins <= unix < self.ends


def zone_named(name: str) -> tzinfo:
    """Return the time zone called `name`. Raises ValueError where the system's database has none of that name.

    UTC needs no database.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"no time zone is called {name!r}; give one such as Europe/Berlin (package tzdata)") from error


def window_at(period: Period, unix: float, zone: tzinfo) -> Window:
    """Return the day or month of `zone` that contains the Unix time `unix`."""
    there = datetime.fromtimestamp(unix, zone)
    first = there.replace(hour=0, minute=0, second=0, microsecond=0, fold=0, tzinfo=None)
    if period is Period.DAY:
        after = first + timedelta(days=1)
    else:
        first = first.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
    return Window(period, _instant(first, zone), _instant(after, zone))


def told_at(unix: float, zone: tzinfo) -> str:
    """Return a Unix time as a person in `zone` writes it, to the minute, with its offset."""
    return datetime.fromtimestamp(unix, zone).isoformat(timespec="minutes")


def _instant(local: datetime, zone: tzinfo) -> float:
    """Return when `local` is first reached; a midnight that clocks skip is the moment at which they do."""
    return local.replace(tzinfo=zone).timestamp()
