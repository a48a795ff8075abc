"""Open the history for writing: make the file where there is none, and bring its schema up to this version.

The file says what it is (`PRAGMA application_id`) and how new (`PRAGMA user_version`). What is not ours, or is newer
than this program, is refused and left untouched. What is older is copied beside itself before anything is changed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

from state.errors import HistoryError
from state.history.backups import back_up, prune_backups
from state.history.places import make_file

__all__ = ["APPLICATION_ID", "BUSY_S", "SCHEMA_VERSION", "NotSqlite", "Opening", "open_history", "schema_files"]

APPLICATION_ID: Final = 0x46414952
"""`FAIR` in ASCII: what `file` and `PRAGMA application_id` show."""
BUSY_S: Final = 1.0
"""Seconds to wait for another connection's lock before giving up for this time."""

_STEPS: Final = ("schema.sql", "step2.sql", "step3.sql", "step4.sql")
"""One file per version: step n brings version n - 1 to n. A step that has been released is never edited."""
SCHEMA_VERSION: Final = len(_STEPS)
_VIEWS: Final = ("views.sql", "bills.sql")
"""Made anew behind the last step."""
_CACHE_KIB: Final = 512
"""Rows are added at the end: the default of 2000 holds pages that nobody asks for again."""
_WAL_LIMIT_BYTES: Final = 16 * 1024 * 1024


class NotSqlite(HistoryError):
    """What lies there has not even the header of an SQLite file."""


def _keep_quiet(_event: str, **_details: str) -> None:
    pass


class Opening(NamedTuple):
    """With what a history is opened."""

    stamp: str = "19700101T000000Z"
    """When that is, as it stands in the names of copies."""
    keep_backups: int = 2
    """How many copies from before a change of schema are kept; 0 for no copy at all."""
    tell: Callable[..., None] = _keep_quiet
    """Takes a line for the log: the event's name, and its details by keyword."""


def open_history(path: Path, opening: Opening = Opening()) -> sqlite3.Connection:  # noqa: B008 - immutable
    """Return the connection that writes the history at `path`, in autocommit, with its schema up to date.

    Raises HistoryError where the file is not a history that this version can write, or there is no room for the copy
    that a change of schema begins with; sqlite3.Error and OSError where the file or its folder cannot be used now.
    """
    make_file(path)
    version = _version_of(path)
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=BUSY_S, isolation_level=None, uri=True)
    try:
        if not version:
            # Before anything is written, or never: so that pages can be given back a few at a time.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        # In WAL a commit outlives the process without a sync, and NORMAL keeps the file whole when power fails.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        # Others may write the file too: no view or trigger of theirs gets at functions of ours.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        if version < SCHEMA_VERSION:
            _keep_a_copy(connection, path, version, opening)
            _migrate(connection, version)
    except BaseException:
        connection.close()
        raise
    return connection


def _keep_a_copy(connection: sqlite3.Connection, path: Path, version: int, opening: Opening) -> None:
    if not version or not opening.keep_backups:
        return
    copy = back_up(connection, path, version, opening.stamp)
    gone = prune_backups(path, opening.keep_backups)
    names = ", ".join(each.name for each in gone)
    opening.tell("history_backed_up", copy=str(copy), schema=f"{version} to {SCHEMA_VERSION}", deleted=names)


def _version_of(path: Path) -> int:
    """Return the version of the file, looking at it through a connection that cannot change it."""
    looking = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=BUSY_S, uri=True)
    try:
        (application,) = looking.execute("PRAGMA application_id").fetchone()
        (version,) = looking.execute("PRAGMA user_version").fetchone()
        (things,) = looking.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            raise NotSqlite(f"{path} is not an SQLite file; move it away or give another path (--history)") from error
        raise
    finally:
        looking.close()
    if application != APPLICATION_ID and (application or version or things):
        raise HistoryError(f"{path} is the database of another application; give another path (--history)")
    if version > SCHEMA_VERSION:
        raise HistoryError(
            f"{path} was written by a newer fairlead (schema {version}, this one knows {SCHEMA_VERSION}); "
            "upgrade, or give another path (--history)"
        )
    return int(version)


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    statements = "\n".join(map(_sql, (*_STEPS[version:], *_VIEWS)))
    connection.executescript(
        f"BEGIN IMMEDIATE;\n{statements}\n"
        f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;"
    )


def schema_files(version: int) -> tuple[str, ...]:
    """Return the names of the files in this package that make a history of `version`; its views are those of now."""
    return (*_STEPS[:version], *_VIEWS) if version == SCHEMA_VERSION else _STEPS[:version]


def _sql(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
