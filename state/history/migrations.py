"""Open the history for writing: make the file where there is none, and bring its schema up to this version.

The file says what it is (`PRAGMA application_id`) and how new (`PRAGMA user_version`). What is not ours, or is newer
than this program, is refused and left untouched.
"""

from __future__ import annotations

import os
import sqlite3
from importlib import resources
from pathlib import Path
from typing import Final

from state.errors import HistoryError

__all__ = ["APPLICATION_ID", "BUSY_S", "SCHEMA_VERSION", "open_history"]

APPLICATION_ID: Final = 0x46414952
"""`FAIR` in ASCII: what `file` and `PRAGMA application_id` show."""
BUSY_S: Final = 1.0
"""Seconds to wait for another connection's lock before giving up for this time."""

_STEPS: Final = ("schema.sql", "step2.sql", "step3.sql", "step4.sql")
"""One file per version: step n brings version n - 1 to n. A step that has been released is never edited."""
SCHEMA_VERSION: Final = len(_STEPS)
_VIEWS: Final = ("views.sql", "bills.sql")
"""Made anew behind the last step."""
_FILE_MODE: Final = 0o640
_FOLDER_MODE: Final = 0o750
_CACHE_KIB: Final = 512
"""Rows are added at the end: the default of 2000 holds pages that nobody asks for again."""
_WAL_LIMIT_BYTES: Final = 16 * 1024 * 1024


def open_history(path: Path) -> sqlite3.Connection:
    """Return the connection that writes the history at `path`, in autocommit, with its schema up to date.

    Raises HistoryError where the file is not a history that this version can write; sqlite3.Error and OSError where
    the file or its folder cannot be used now.
    """
    _make_file(path)
    version = _version_of(path)
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=BUSY_S, isolation_level=None, uri=True)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # In WAL a commit outlives the process without a sync, and NORMAL keeps the file whole when power fails.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        _migrate(connection, version)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_file(path: Path) -> None:
    path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    try:
        made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE_MODE)
    except FileExistsError:
        return
    try:
        # Whatever the umask: SQLite gives the -wal and -shm files the mode that the file has when they are made.
        os.fchmod(made, _FILE_MODE)
    finally:
        os.close(made)


def _version_of(path: Path) -> int:
    """Return the version of the file, looking at it through a connection that cannot change it."""
    looking = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=BUSY_S, uri=True)
    try:
        (application,) = looking.execute("PRAGMA application_id").fetchone()
        (version,) = looking.execute("PRAGMA user_version").fetchone()
        (things,) = looking.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            raise HistoryError(
                f"{path} is not an SQLite file; move it away or give another path (--history)"
            ) from error
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
    if version == SCHEMA_VERSION:
        return
    statements = "\n".join(map(_sql, (*_STEPS[version:], *_VIEWS)))
    connection.executescript(
        f"BEGIN IMMEDIATE;\n{statements}\n"
        f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;"
    )


def _sql(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
