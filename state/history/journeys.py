"""What the history holds of each request's way, read back in order of arrival: for a replay through other rules.

Synchronous and light to import, like all reading of the history. Rows come page by page, so that however long the
history is, a few hundred requests are in memory at a time; between two pages nothing is held open.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from state.errors import HistoryError
from state.history.foreign import when
from state.history.inspection import open_for_reading
from state.history.migrations import APPLICATION_ID, SCHEMA_VERSION

__all__ = ["HourSummary", "Journeys", "RecordedAttempt", "RecordedOperation", "RecordedProbe", "RecordedRequest"]

_PAGE: Final = 500
_HOUR_MS: Final = 3_600_000
_NOW: Final = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
"""Unix milliseconds, by SQLite's clock."""
_REQUEST: Final = (
    "at_ms, id, request_id, workload, outcome, fault, attempts, streamed, latency_ms, "
    "prompt_tokens, completion_tokens, cost_usd"
)
_ATTEMPT: Final = (
    "at_ms, id, request_id, number, target, fault, status, streamed, first_byte_ms, latency_ms, retry_after_ms"
)
_PROBE: Final = "at_ms, id, target, kind, fault, status, first_byte_ms, latency_ms, retry_after_ms"
_OPERATION: Final = "at_ms, id, verb, target, reason, until_ms"
_SINCE: Final[Mapping[str, Mapping[str, str]]] = {
    "request": {"purpose": "'client'", "label": "NULL", "cached_tokens": "NULL"},
    "attempt": {
        "blame": "NULL",
        "hedge": "0",
        "prompt_tokens": "NULL",
        "completion_tokens": "NULL",
        "cached_tokens": "NULL",
        "cache_write_tokens": "NULL",
        "cost_usd": "NULL",
        "cost_estimated": "0",
    },
}
"""Columns that an older version's file lacks, and what stands for them."""
_COUNTED: Final = "AND coalesce(blame, '') NOT IN ('caller', 'ourselves')"
_REPORTS: Final = "request_id GLOB 'rep_*'"
"""Calls that callers made themselves and reported: attempts without a request."""


class RecordedAttempt(NamedTuple):
    """One row of `attempt`."""

    at_ms: int
    """When it ended, Unix milliseconds."""
    id: int
    request_id: str
    number: int
    target: str
    fault: str | None
    status: int | None
    streamed: int
    first_byte_ms: float | None
    latency_ms: float
    retry_after_ms: float | None
    blame: str | None
    hedge: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    cost_usd: float | None
    cost_estimated: int


class RecordedProbe(NamedTuple):
    """One row of `probe`."""

    at_ms: int
    """When it ended, Unix milliseconds."""
    id: int
    target: str
    kind: str
    fault: str | None
    status: int | None
    first_byte_ms: float | None
    latency_ms: float
    retry_after_ms: float | None


class RecordedOperation(NamedTuple):
    """One row of `operation`: what an operator did."""

    at_ms: int
    id: int
    verb: str
    target: str | None
    reason: str
    until_ms: int | None


class RecordedRequest(NamedTuple):
    """One row of `request`, with its attempts and with what its choices were made from."""

    at_ms: int
    """When it arrived, Unix milliseconds."""
    id: int
    request_id: str
    workload: str
    outcome: str
    fault: str | None
    tries: int
    streamed: int
    latency_ms: float
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    purpose: str
    """`client`, `shadow` or `classify`."""
    label: str | None
    """What routing took it for, where it looked."""
    cached_tokens: int | None
    attempts: tuple[RecordedAttempt, ...]
    """In the order of their numbers."""
    settings: Mapping[int, bytes]
    """By the number of the attempt, where they were recorded."""


class HourSummary(NamedTuple):
    """The attempts at one target within one hour, those that callers ended left out."""

    n: int
    failed: int
    fault: str | None
    """The fault that was met most often."""
    ok_ms: float | None
    """The median latency of those that succeeded."""
    failed_ms: float | None
    """The median latency of those that failed."""


class Journeys:
    """One history, open for reading only. Every method raises HistoryError where it cannot be read."""

    def __init__(self, path: Path) -> None:
        """Open the history at `path`."""
        self._path = path
        self._connection = open_for_reading(path)
        (((application,),), ((version,),)) = self._all("PRAGMA application_id"), self._all("PRAGMA user_version")
        if application != APPLICATION_ID or version > SCHEMA_VERSION:
            self.close()
            raise HistoryError(f"{path} is not a history of this version of fairlead (schema {version})")
        self._request, self._attempt = self._known("request", _REQUEST), self._known("attempt", _ATTEMPT)
        self._counted = _COUNTED if "blame" in self._columns("attempt") else ""
        self._has_settings = "setting" in self._columns("decision")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def now_ms(self) -> int:
        """Return the time, Unix milliseconds."""
        return int(self._all(f"SELECT {_NOW}")[0][0])

    def requests(self, from_ms: int, to_ms: int) -> Iterator[RecordedRequest]:
        """Yield the requests that arrived in [from_ms, to_ms], in the order of their arrival."""
        for page in self._pages("request", self._request, "TRUE", (from_ms, to_ms)):
            ids = [row[2] for row in page]
            marks = ", ".join("?" * len(ids))
            attempts = self._attempts(marks, ids)
            settings = self._settings(marks, ids)
            for row in page:
                yield RecordedRequest._make((*row, tuple(attempts.get(row[2], ())), settings.get(row[2], {})))

    def observations(self, from_ms: int, to_ms: int) -> Iterator[RecordedProbe | RecordedOperation | RecordedAttempt]:
        """Yield what was seen and done besides requests in [from_ms, to_ms], in the order of time."""
        span = (from_ms, to_ms)
        probes = self._rows("probe", _PROBE, "TRUE", span)
        operations = self._rows("operation", _OPERATION, "TRUE", span)
        reports = self._rows("attempt", self._attempt, _REPORTS, span)
        return heapq.merge(
            (RecordedProbe(*row) for row in probes),
            (RecordedOperation(*row) for row in operations),
            (RecordedAttempt(*row) for row in reports),
            key=lambda one: when(one.at_ms),
        )

    def drains(self, before_ms: int) -> list[RecordedOperation]:
        """Return the last drain or resume of each target before that time."""
        sql = (
            f"SELECT {_OPERATION} FROM operation WHERE id IN (SELECT max(id) FROM operation "  # noqa: S608 - ours
            "WHERE verb IN ('drain', 'resume') AND at_ms < ? GROUP BY target)"
        )
        return [RecordedOperation(*row) for row in self._all(sql, (before_ms,))]

    def hour(self, target: str, streamed: int, at_ms: int) -> HourSummary:
        """Return how the attempts at `target` went that ended within the clock hour of `at_ms`."""
        first = at_ms - at_ms % _HOUR_MS
        where = f"FROM attempt WHERE target = ? AND at_ms >= ? AND at_ms < ? AND streamed = ? {self._counted}"
        values = (target, first, first + _HOUR_MS, streamed)
        n, failed = self._all(f"SELECT count(*), count(fault) {where}", values)[0]
        worst = self._all(f"SELECT fault {where} AND fault NOT NULL GROUP BY 1 ORDER BY count(*) DESC LIMIT 1", values)
        medians = [
            self._all(f"SELECT latency_ms {where} AND fault {ended} ORDER BY 1 LIMIT 1 OFFSET {count // 2}", values)
            for ended, count in (("IS NULL", n - failed), ("NOT NULL", failed))
        ]
        fault, ok_ms, failed_ms = (found[0][0] if found else None for found in (worst, *medians))
        return HourSummary(n, failed, fault, ok_ms, failed_ms)

    def _attempts(self, marks: str, ids: list[str]) -> dict[str, list[RecordedAttempt]]:
        sql = f"SELECT {self._attempt} FROM attempt WHERE request_id IN ({marks}) ORDER BY number, id"  # noqa: S608 - ours
        found: dict[str, list[RecordedAttempt]] = {}
        for row in self._all(sql, ids):
            found.setdefault(row[2], []).append(RecordedAttempt(*row))
        return found

    def _settings(self, marks: str, ids: list[str]) -> dict[str, dict[int, bytes]]:
        if not self._has_settings:
            return {}
        sql = f"SELECT request_id, number, setting FROM decision WHERE request_id IN ({marks}) AND setting NOT NULL"  # noqa: S608 - ours
        found: dict[str, dict[int, bytes]] = {}
        for request_id, number, setting in self._all(sql, ids):
            found.setdefault(request_id, {})[number] = setting
        return found

    def _rows(self, table: str, columns: str, which: str, span: tuple[int, int]) -> Iterator[tuple[Any, ...]]:
        for page in self._pages(table, columns, which, span):
            yield from page

    def _pages(self, table: str, columns: str, which: str, span: tuple[int, int]) -> Iterator[list[tuple[Any, ...]]]:
        """Yield pages in the order of time; each begins behind the last row of the one before."""
        sql = (
            f"SELECT {columns} FROM {table} WHERE (at_ms, id) > (?, ?) AND at_ms <= ? AND {which} "  # noqa: S608 - ours
            f"ORDER BY at_ms, id LIMIT {_PAGE}"
        )
        last = (span[0], 0)
        while page := self._all(sql, (*last, span[1])):
            yield page
            last = page[-1][:2]

    def _known(self, table: str, always: str) -> str:
        """Return the columns to read of `table`, with a stand-in for each that this file lacks."""
        there = self._columns(table)
        newer = (name if name in there else f"{absent} AS {name}" for name, absent in _SINCE[table].items())
        return ", ".join([always, *newer])

    def _columns(self, table: str) -> set[str]:
        return {name for (name,) in self._all("SELECT name FROM pragma_table_info(?)", (table,))}

    def _all(self, sql: str, values: tuple[Any, ...] | list[str] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise HistoryError(f"{self._path} cannot be read: {error}") from error
