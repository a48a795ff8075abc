"""What was spent within the last month, by whom and when: where an account that is opened finds what it holds."""

from __future__ import annotations

from typing import Final

from daemon.limits.policy import LimitPolicy, subject_of
from state.history.charges import Charged
from state.history.spending import KEPT_S

__all__ = ["QUARTER_S", "Book"]

QUARTER_S: Final = 900
"""In every time zone days begin with a quarter of an hour, so what is summed up by it can be parted at midnight."""


class Book:
    """Dollars by who was charged and by the quarter of an hour. Owned by the ledger."""

    def __init__(self) -> None:
        """Start with none."""
        self._sums: dict[Charged, dict[int, float]] = {}
        self._newest = 0

    def add(self, charged: Charged, usd: float, unix: float) -> None:
        """Note that `usd` was spent."""
        quarter = int(unix // QUARTER_S)
        if quarter > self._newest:
            self._newest = quarter
            self._forget(quarter - KEPT_S // QUARTER_S)
        sums = self._sums.setdefault(charged, {})
        sums[quarter] = sums.get(quarter, 0.0) + usd

    @property
    def charged(self) -> tuple[Charged, ...]:
        """Everybody who was charged for something."""
        return tuple(self._sums)

    def sum(self, policy: LimitPolicy, subject: str, from_unix: float, to_unix: float) -> float:
        """Return what was spent in a period on the account of `subject` under `policy`."""
        first, end = int(from_unix // QUARTER_S), int(to_unix // QUARTER_S)
        return sum(
            usd
            for charged, sums in self._sums.items()
            if policy.concerns(charged) and subject_of(policy, charged) == subject
            for quarter, usd in sums.items()
            if first <= quarter < end
        )

    def _forget(self, before: int) -> None:
        for charged in list(self._sums):
            kept = {quarter: usd for quarter, usd in self._sums[charged].items() if quarter >= before}
            if kept:
                self._sums[charged] = kept
            else:
                del self._sums[charged]
