"""What was spent within the last month, by whom and when: where an account that is opened finds what it holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from state.history.charges import Charged
from state.history.spending import KEPT_S

__all__ = ["QUARTER_S", "Book"]

QUARTER_S: Final = 900
"""In every time zone days begin with a quarter of an hour, so what is summed up by it can be parted at midnight."""

_A_DAY: Final = 96
"""Quarters of an hour between two looks for what is too old: looking takes as long as the book is thick."""


class Book:
    """Dollars by who was charged and by the quarter of an hour. Owned by the ledger."""

    def __init__(self) -> None:
        """Start with none."""
        self._sums: dict[Charged, dict[int, float]] = {}
        self._forgets_at = 0

    def add(self, charged: Charged, usd: float, unix: float) -> None:
        """Note that `usd` was spent."""
        quarter = int(unix // QUARTER_S)
        if quarter >= self._forgets_at:
            self._forgets_at = quarter + _A_DAY
            self._forget(quarter - KEPT_S // QUARTER_S)
        sums = self._sums.setdefault(charged, {})
        sums[quarter] = sums.get(quarter, 0.0) + usd

    def __contains__(self, charged: Charged) -> bool:
        """Return whether somebody was charged for something."""
        return charged in self._sums

    @property
    def charged(self) -> tuple[Charged, ...]:
        """Everybody who was charged for something."""
        return tuple(self._sums)

    def sum(self, payers: Iterable[Charged], from_unix: float, to_unix: float) -> float:
        """Return what some of them spent in a period."""
        first, end = int(from_unix // QUARTER_S), int(to_unix // QUARTER_S)
        return sum(
            usd for charged in payers for quarter, usd in self._sums.get(charged, {}).items() if first <= quarter < end
        )

    def _forget(self, before: int) -> None:
        for charged in list(self._sums):
            kept = {quarter: usd for quarter, usd in self._sums[charged].items() if quarter >= before}
            if kept:
                self._sums[charged] = kept
            else:
                del self._sums[charged]
