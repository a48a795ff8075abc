"""The rows that wait to be written, and the account of those that never will be."""

from __future__ import annotations

from collections import deque

import msgspec

from state.history.tables import Gap, Row

__all__ = ["Backlog"]


class _Loss(msgspec.Struct, frozen=True):
    """Rows of one stretch of time that one cause has taken."""

    first_at: float
    last_at: float
    count: int


class Backlog:
    """At most `limit` unsaved rows; beyond that the oldest go, and are counted under the cause of the trouble."""

    def __init__(self, limit: int) -> None:
        """Start empty."""
        self._rows: deque[Row] = deque()
        self._limit = limit
        self._losses: dict[str, _Loss] = {}
        self.lost = 0
        """Rows lost since the process started."""

    def __len__(self) -> int:
        """How many rows wait."""
        return len(self._rows)

    def __repr__(self) -> str:
        """Show what waits and what was lost."""
        return f"<Backlog unsaved={len(self._rows)} lost={self.lost}>"

    @property
    def rows(self) -> tuple[Row, ...]:
        """What waits, oldest first."""
        return tuple(self._rows)

    @property
    def owing(self) -> bool:
        """Whether there is anything to write: rows, or the account of rows that were lost."""
        return bool(self._rows or self._losses)

    def add(self, row: Row) -> None:
        """Let a row wait."""
        self._rows.append(row)

    def trim(self, cause: str) -> None:
        """Drop the oldest rows beyond the limit: `cause` is why they were not written in time."""
        surplus = len(self._rows) - self._limit
        if surplus > 0:
            gone = [self._rows.popleft().at for _ in range(surplus)]
            self.lose(cause, surplus, min(gone), max(gone))

    def lose(self, cause: str, count: int, first_at: float, last_at: float) -> None:
        """Note rows that are lost; a stretch with the same cause grows."""
        self.lost += count
        known = self._losses.get(cause)
        if known is not None:
            first_at, last_at = min(first_at, known.first_at), max(last_at, known.last_at)
            count += known.count
        self._losses[cause] = _Loss(first_at, last_at, count)

    def gaps(self, now: float) -> tuple[Gap, ...]:
        """Return the account of what was lost since the last time that it reached the file."""
        return tuple(Gap(now, loss.first_at, loss.last_at, loss.count, cause) for cause, loss in self._losses.items())

    def settle(self) -> None:
        """Forget the rows and the account: they have reached the file."""
        self._rows.clear()
        self._losses.clear()
