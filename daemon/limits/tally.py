"""What was spent by whom on which day: from it limits that are new, or that changed, learn what counts for them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from daemon.limits.calendar import Window
from state.history.charges import Charged

__all__ = ["Spent", "Tally"]


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """Money that was spent."""

    at: float
    """When, in Unix seconds."""
    charged: Charged
    usd: float


class Tally:
    """Sums by workload, team, user and day of the current month, in billionths of a dollar."""

    def __init__(self) -> None:
        """Start with nothing spent."""
        self._days: dict[tuple[str, str, str], dict[float, int]] = {}

    def add(self, charged: Charged, day: float, amount: int) -> None:
        """Add what was spent on the day that begins at `day`."""
        days = self._days.setdefault((charged.workload, charged.team, charged.user), {})
        days[day] = days.get(day, 0) + amount

    def each(self) -> Iterator[tuple[Charged, float, int]]:
        """Yield every sum: who, the day's beginning, and how much."""
        for (workload, team, user), days in self._days.items():
            charged = Charged(workload=workload, team=team, user=user)
            for day, amount in days.items():
                yield charged, day, amount

    def forget_before(self, month: Window) -> None:
        """Forget the days before a month."""
        for who in list(self._days):
            kept = {day: amount for day, amount in self._days[who].items() if day >= month.begins}
            if kept:
                self._days[who] = kept
            else:
                del self._days[who]
