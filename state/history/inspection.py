"""Read-only SQL on the history, for everyone but the recorder.

Synchronous, and light to import, since the command line uses it. It works while the daemon runs, after it stopped, and
after it was killed.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from state.errors import HistoryError
from state.history.places import size

__all__ = [
    "Cell",
    "QueryLimits",
    "ResultTable",
    "open_for_asking",
    "open_for_reading",
    "query",
    "quoted",
    "told_plainly",
]

Cell: TypeAlias = str | int | float | bytes | None

_STEPS_BETWEEN_LOOKS: Final = 10_000
"""Steps of SQLite's machine between two looks at the clock: well under a millisecond."""
_BUSY_S: Final = 1.0
_LONGEST_CELL: Final = 250_000
"""Bytes: nothing in the history is as long, and no query may fill the memory with one row."""
_MOST_COLUMNS: Final = 200

_NOT_AS_LEFT: Final = "cannot be opened by you as its daemon left it; start the daemon, or read it as its user"

_READING: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
_ASKING_PRAGMAS: Final = frozenset(
    {
        "application_id",
        "collation_list",
        "compile_options",
        "encoding",
        "foreign_key_list",
        "freelist_count",
        "function_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "page_count",
        "page_size",
        "table_info",
        "table_list",
        "table_xinfo",
        "user_version",
    }
)
_TAKING_A_NAME: Final = frozenset(
    {"foreign_key_list", "index_info", "index_list", "index_xinfo", "table_info", "table_list", "table_xinfo"}
)


class QueryLimits(NamedTuple):
    """How much one query may cost."""

    seconds: float = 5.0
    rows: int = 1000
    size: int = 16_000_000
    """Characters and bytes in all cells together."""


class ResultTable(NamedTuple):
    """What a query found. `truncated` says that there were more rows than the limits allow."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    truncated: bool


def query(path: Path, sql: str, *, limits: QueryLimits = QueryLimits()) -> ResultTable:  # noqa: B008 - immutable
    """Return what the one statement `sql` finds in the history at `path`.

    Raises HistoryError where there is no history that can be read, the statement is wrong or would change anything, or
    it takes longer than the limit.
    """
    with closing(open_for_asking(path)) as connection:
        connection.set_progress_handler(_alarm(limits.seconds), _STEPS_BETWEEN_LOOKS)
        with _told(path, limits):
            return _collect(connection.execute(sql), limits)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Return a connection that can only read the history at `path`; the caller closes it.

    Raises HistoryError where there is none, or it cannot be read.
    """
    _look(path)
    with told_plainly(path):
        try:
            return _connected(path, "mode=ro")
        except sqlite3.OperationalError as error:
            # Somebody with more rights has taken the -shm file away. Without a log there is nobody who writes either.
            lacks_index = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
            if not lacks_index or size(Path(f"{path}-wal")):
                raise
            return _connected(path, "mode=ro&immutable=1")


def quoted(name: str) -> str:
    """Return the name of a table or column as SQL takes it, whatever it is."""
    return '"' + name.replace('"', '""') + '"'


def open_for_asking(path: Path) -> sqlite3.Connection:
    """Return a connection for other people's SQL: it takes what reads and nothing else. Raises HistoryError."""
    connection = open_for_reading(path)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_CELL)
    connection.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, _MOST_COLUMNS)
    connection.set_authorizer(_authorize)
    return connection


@contextmanager
def told_plainly(path: Path) -> Iterator[None]:
    """Turn what sqlite3 raises into a HistoryError that says what to do."""
    with _told(path, QueryLimits()):
        yield


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", timeout=_BUSY_S, isolation_level=None, uri=True)
    try:
        # The file may come from anywhere: what its views call and what its pages hold is not trusted.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _collect(cursor: sqlite3.Cursor, limits: QueryLimits) -> ResultTable:
    """Read rows until one would be too many."""
    columns = tuple(column[0] for column in cursor.description or ())
    rows: list[tuple[Cell, ...]] = []
    left = limits.size
    for row in cursor:
        left -= sum(len(cell) for cell in row if isinstance(cell, (str, bytes)))
        if len(rows) == limits.rows or left < 0:
            return ResultTable(columns, tuple(rows), truncated=True)
        rows.append(row)
    return ResultTable(columns, tuple(rows), truncated=False)


def _look(path: Path) -> None:
    """Say in plain words what SQLite would only call "unable to open database file"."""
    try:
        if path.is_dir():
            raise HistoryError(f"{path} is a folder; name the history's file (--history)")
        if not path.exists():
            raise HistoryError(f"there is no history at {path}; start the daemon, or name its file (--history)")
    except PermissionError as error:
        raise HistoryError(f"{path} cannot be reached: {error.strerror}; ask for its group") from error
    if not os.access(path, os.R_OK):
        raise HistoryError(f"{path} may not be read by you; ask for its group, or ask the daemon instead")


def _alarm(seconds: float) -> Callable[[], int]:
    """Return a progress handler that ends a query once it has run for `seconds`."""
    end = time.monotonic() + seconds
    return lambda: int(time.monotonic() > end)


def _authorize(action: int, first: str | None, second: str | None, _database: str | None, _within: str | None) -> int:
    """Allow what only reads."""
    match action:
        case sqlite3.SQLITE_PRAGMA:
            allowed = first in _ASKING_PRAGMAS and (second is None or first in _TAKING_A_NAME)
        case sqlite3.SQLITE_UPDATE:
            # SQLite asks this for itself when it first meets json_each or pragma_…; nobody can write that table here.
            allowed = first == "sqlite_master"
        case _:
            allowed = action in _READING and (second or "").lower() != "load_extension"
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


@contextmanager
def _told(path: Path, limits: QueryLimits) -> Iterator[None]:
    """Turn what sqlite3 raises into a HistoryError that says what to do."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise HistoryError(_explanation(error, path, limits)) from error
    except UnicodeDecodeError as error:  # what SQLite says of a damaged schema quotes its bytes
        raise HistoryError(f"{path} is damaged; move it away, the daemon will make a new one") from error


def _explanation(error: Exception, path: Path, limits: QueryLimits) -> str:
    known = {
        sqlite3.SQLITE_AUTH: "only one statement that reads is allowed here; write SELECT … or WITH …",
        sqlite3.SQLITE_INTERRUPT: f"the query took over {limits.seconds:g} s; narrow its WHERE by target and at_ms",
        sqlite3.SQLITE_NOTADB: f"{path} is not an SQLite file; name the history's file (--history)",
        sqlite3.SQLITE_CANTOPEN: f"{path} {_NOT_AS_LEFT}",
        sqlite3.SQLITE_READONLY: f"{path} {_NOT_AS_LEFT}",
        sqlite3.SQLITE_BUSY: f"{path} is locked by another program; try again",
        sqlite3.SQLITE_CORRUPT: f"{path} is damaged ({error}); move it away, the daemon will make a new one",
        sqlite3.SQLITE_TOOBIG: f"the query makes a value longer than {_LONGEST_CELL} bytes",
    }
    refused = str(error).startswith("not authorized")  # a function's refusal has no code of its own
    code = sqlite3.SQLITE_AUTH if refused else getattr(error, "sqlite_errorcode", 0) & 0xFF
    return known.get(code) or f"{error}; sqlite_schema lists the tables and views"
