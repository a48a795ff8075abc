"""What a restart has to know of money: what was spent within the month, and what was set aside and never settled."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from state.errors import HistoryError
from state.faults import Blame, Fault
from state.history.charges import Charged
from state.history.foreign import UNLIKE_OURS
from state.history.inspection import open_for_reading
from state.history.migrations import APPLICATION_ID, SCHEMA_VERSION
from state.history.rows import AttemptRow
from state.outcome import Outcome
from state.targets import TargetName

__all__ = ["KEPT_S", "Spending", "Spent", "Unsettled", "recollect_spending"]

KEPT_S: Final = 32 * 86_400
"""How far back money matters: no month is longer."""
_SINCE: Final = 4
"""The schema from which on attempts say what they cost."""
_SPENT: Final = """
SELECT workload, team, user, purpose, quarter_ms, sum(usd) FROM (
  SELECT workload, team, user, purpose, quarter_ms, usd FROM spend WHERE quarter_ms >= :from_ms
  UNION ALL
  SELECT workload, coalesce(team, ''), coalesce(user, ''), purpose, at_ms - at_ms % 900000, cost_usd FROM attempt
  WHERE id > (SELECT last_id FROM rollup_mark WHERE source = 'attempt') AND at_ms >= :from_ms AND cost_usd > 0
) GROUP BY 1, 2, 3, 4, 5 HAVING sum(usd) > 0"""
_UNSETTLED: Final = """
SELECT request_id, number, target, workload, coalesce(team, ''), coalesce(user, ''), purpose, usd FROM reservation
WHERE usd > 0 AND NOT EXISTS (
  SELECT 1 FROM attempt WHERE attempt.request_id = reservation.request_id AND attempt.number = reservation.number)"""
_KILLED: Final = "fairlead was killed while it was under way: booked at its estimate"


class Spent(msgspec.Struct, frozen=True):
    """Dollars, who was charged, and when, in Unix seconds."""

    charged: Charged
    usd: float
    unix: float


class Unsettled(msgspec.Struct, frozen=True):
    """An attempt that was under way when the process was killed: nobody knows what it cost."""

    request_id: str
    number: int
    target: TargetName
    charged: Charged
    usd: float
    """What was set aside for it."""

    def as_attempt(self, at: float) -> AttemptRow:
        """Return the row by which it is booked at its estimate, `at` monotonic seconds."""
        return AttemptRow(
            at=at,
            request_id=self.request_id,
            number=self.number,
            target=self.target,
            outcome=Outcome(fault=Fault.CANCELLED, at_fault=Blame.OURSELVES, reason=_KILLED),
            charged=self.charged,
            cost_usd=self.usd,
            cost_estimated=True,
        )


class Spending(msgspec.Struct, frozen=True):
    """What the history knows of money at the start."""

    spent: tuple[Spent, ...] = ()
    unsettled: tuple[Unsettled, ...] = ()
    trouble: str = ""
    """Why nothing could be read; empty where that went well, and where there is no history yet."""


def recollect_spending(path: Path, wall_now: float) -> Spending:
    """Return what the history at `path` knows at Unix time `wall_now`. Never raises for the history's sake."""
    try:
        if not path.exists():
            return Spending()
        with closing(open_for_reading(path)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if application != APPLICATION_ID or not _SINCE <= version <= SCHEMA_VERSION:
                return Spending()
            return _recollect(connection, round((wall_now - KEPT_S) * 1000))
    except (sqlite3.Error, OSError, HistoryError, *UNLIKE_OURS) as error:
        return Spending(trouble=f"{path} could not be read: {error}")


def _recollect(connection: sqlite3.Connection, from_ms: int) -> Spending:
    spent = tuple(
        Spent(Charged(workload, team, user, purpose), usd, quarter_ms / 1000)
        for workload, team, user, purpose, quarter_ms, usd in connection.execute(_SPENT, {"from_ms": from_ms})
    )
    unsettled = tuple(
        Unsettled(request_id, number, TargetName(target), Charged(workload, team, user, purpose), usd)
        for request_id, number, target, workload, team, user, purpose, usd in connection.execute(_UNSETTLED)
    )
    return Spending(spent, unsettled)
