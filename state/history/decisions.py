"""The recorded choices, read back one by one: however many there are, a few hundred are in memory at a time.

Synchronous and light to import, like all reading of the history. Between two pages nothing is held open, so that a
reader never keeps the daemon from tidying its write-ahead log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from state.errors import HistoryError
from state.history.inspection import open_for_reading

__all__ = ["RecordedChoice", "choices_of", "choices_since", "last_request"]

_PAGE: Final = 500
_COLUMNS: Final = "id, at, request_id, number, chosen, strategy, reason, candidates, sampled_of"
_OLD: Final = "NULL, NULL"
"""What stands for `setting` and `code` in a file of a version that had none."""
_SINCE: Final = "CAST((julianday('now') - 2440587.5) * 86400000 - ? AS INTEGER)"
"""Unix milliseconds so many before now, by SQLite's clock."""


class RecordedChoice(NamedTuple):
    """One row of `decision`."""

    id: int
    at: str
    """ISO 8601, UTC."""
    request_id: str
    number: int
    chosen: str | None
    strategy: str
    reason: str
    candidates: str
    """JSON."""
    sampled_of: int
    setting: bytes | None
    code: str | None


def choices_of(path: Path, request_id: str) -> Iterator[RecordedChoice]:
    """Yield the choices that were made for a request. Raises HistoryError where the history cannot be read."""
    return _read(path, "request_id = ?", request_id)


def choices_since(path: Path, seconds: float) -> Iterator[RecordedChoice]:
    """Yield the choices of the last `seconds`, as of now. Raises HistoryError where the history cannot be read."""
    (first,) = _row(path, f"SELECT min(id) FROM decision WHERE at_ms >= {_SINCE}", seconds * 1e3)  # noqa: S608 - ours
    return _read(path, "id >= ?", first) if first is not None else iter(())


def last_request(path: Path) -> str | None:
    """Return the request of the newest choice, None where there is none. Raises HistoryError as the others do."""
    (request_id,) = _row(path, "SELECT (SELECT request_id FROM decision ORDER BY id DESC LIMIT 1)")
    return None if request_id is None else str(request_id)


def _read(path: Path, which: str, value: str | int) -> Iterator[RecordedChoice]:
    """Yield rows page by page, up to the newest of when it began."""
    with closing(open_for_reading(path)) as connection:
        try:
            named = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info('decision')")}
            columns = f"{_COLUMNS}, {'setting, code' if 'setting' in named else _OLD}"
            sql = f"SELECT {columns} FROM decision WHERE {which} AND id > ? AND id <= ? ORDER BY id LIMIT {_PAGE}"  # noqa: S608 - ours
            (newest,) = connection.execute("SELECT max(id) FROM decision").fetchone()
            last = 0
            while page := [RecordedChoice(*row) for row in connection.execute(sql, (value, last, newest))]:
                yield from page
                last = page[-1].id
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise HistoryError(f"{path} cannot be read: {error}") from error


def _row(path: Path, sql: str, *values: float) -> tuple[str | int | None, ...]:
    with closing(open_for_reading(path)) as connection:
        try:
            row: tuple[str | int | None, ...] = connection.execute(sql, values).fetchone()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise HistoryError(f"{path} cannot be read: {error}") from error
    return row
