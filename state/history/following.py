"""What happened since a point in the history, in order: fallbacks, changes of standing, probes, operations, alerts.

A point is a vector of the last row seen in each table, so that nothing is lost or told twice, over restarts too.
"""

from __future__ import annotations

import heapq
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from state.errors import HistoryError
from state.history.foreign import when
from state.history.inspection import open_for_reading

__all__ = ["MOST_AT_ONCE", "Event", "Point", "events_after", "newest_point", "parse_point", "point_at"]

MOST_AT_ONCE: Final = 500
"""Events that are read at once."""
_LOOK_BACK: Final = MOST_AT_ONCE
"""Rows of a table that are told anew to whoever comes from another file, or from before a power cut."""
_TABLES: Final = {"f": "fallback", "t": "transition", "p": "probe", "o": "operation", "a": "alert"}
_POINT: Final = re.compile(r"f([0-9]{1,18})\.t([0-9]{1,18})\.p([0-9]{1,18})\.o([0-9]{1,18})\.a([0-9]{1,18})")


class Point(NamedTuple):
    """The last row seen in each table."""

    fallback: int = 0
    transition: int = 0
    probe: int = 0
    operation: int = 0
    alert: int = 0

    def __str__(self) -> str:
        """Return it as an event's id."""
        return ".".join(f"{letter}{seen}" for letter, seen in zip(_TABLES, self, strict=True))


class Event(NamedTuple):
    """One thing that happened."""

    kind: str
    """The table's name."""
    row: dict[str, Any]
    after: Point
    """Where to go on after it."""


def parse_point(text: str) -> Point:
    """Return the point that an event's id names. Raises ValueError where it names none."""
    match = _POINT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:80]!r} is no event's id; such as {Point()}")
    return Point(*map(int, match.groups()))


def newest_point(path: Path) -> Point:
    """Return the point behind everything that has happened. Raises HistoryError where the file cannot be read."""
    with closing(open_for_reading(path)) as connection:
        sql = "SELECT coalesce(max(id), 0) FROM {}"
        return Point(*(_scalar(connection, sql.format(table)) for table in _known(connection)))


def point_at(path: Path, unix_ms: int) -> Point:
    """Return the point before everything that happened from `unix_ms` on. Raises HistoryError."""
    with closing(open_for_reading(path)) as connection:
        sql = "SELECT coalesce((SELECT min(id) - 1 FROM {0} WHERE at_ms >= {1}), (SELECT max(id) FROM {0}), 0)"
        return Point(*(_scalar(connection, sql.format(table, int(unix_ms))) for table in _known(connection)))


def events_after(path: Path, point: Point, limit: int = MOST_AT_ONCE) -> list[Event]:
    """Return at most `limit` events after `point`, the oldest first. Raises HistoryError.

    Of a table that has not got as far as `point`, since this is another file or a power cut took its end, the last rows
    are told anew: better twice than never.
    """
    with closing(open_for_reading(path)) as connection:
        point = _within(connection, point)
        connection.row_factory = sqlite3.Row
        found = [
            [(row["at_ms"], place, table, dict(row)) for row in _rows(connection, table, point[place], limit)]
            for place, table in enumerate(_known(connection))
        ]
    events: list[Event] = []
    # Each table stays in the order of its ids, whatever its times say: a point must never skip a row.
    for _, place, table, row in heapq.merge(*found, key=lambda each: when(each[0])):
        point = Point(*(row["id"] if each == place else seen for each, seen in enumerate(point)))
        events.append(Event(table, row, point))
    return events[:limit]


def _known(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the tables, in the order of a point; a history of an older version lacks the last ones."""
    there = {name for (name,) in _asked(connection, "SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return tuple(table for table in _TABLES.values() if table in there)


def _within(connection: sqlite3.Connection, point: Point) -> Point:
    """Return `point` with a place that each table has got to. Deleting rows takes no table back."""
    ends = _ends(connection)
    behind = (
        seen if seen <= ends.get(table, 0) else max(0, ends.get(table, 0) - _LOOK_BACK)
        for table, seen in zip(_TABLES.values(), point, strict=True)
    )
    return Point(*behind)


def _ends(connection: sqlite3.Connection) -> dict[str, int]:
    return dict(_asked(connection, "SELECT name, seq FROM sqlite_sequence"))


def _rows(connection: sqlite3.Connection, table: str, seen: int, limit: int) -> list[sqlite3.Row]:
    sql = f"SELECT * FROM {table} WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - one of ours
    return _asked(connection, sql, (seen, limit))


def _scalar(connection: sqlite3.Connection, sql: str) -> int:
    ((value,),) = _asked(connection, sql)
    return int(value)


def _asked(connection: sqlite3.Connection, sql: str, parameters: tuple[int, ...] = ()) -> list[Any]:
    """Return the rows of a query: the one place where SQLite may fail."""
    try:
        return connection.execute(sql, parameters).fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise HistoryError(f"the history cannot be read: {error}") from error
