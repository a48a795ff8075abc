"""The one connection that writes the history, on aiosqlite's thread.

Everything that may block is SQL, so that it happens over there: looking whether the file still lies at its path, and
the size of its write-ahead log, are SQL functions of this connection.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import aiosqlite
import anyio

from state.errors import HistoryError
from state.history.migrations import open_history
from state.history.retention import Chore
from state.history.tables import INSERTS, Inserts

__all__ = ["HistoryFile", "HistoryVanished"]

T = TypeVar("T")
P = ParamSpec("P")
_FETCHED_AT_ONCE: Final = 64
_THREAD_END_S: Final = 0.01
_SLOW_S: Final = 5.0
"""A disk that has not answered for so long is told of."""
_MARK: Final = """
INSERT OR IGNORE INTO rollup_mark (source, last_id) SELECT '{0}', (SELECT coalesce(max(id), 0) FROM {0})"""


class HistoryVanished(HistoryError):
    """The file that was being written no longer lies at its path."""


def _on_disk(
    method: Callable[Concatenate[HistoryFile, P], Awaitable[T]],
) -> Callable[Concatenate[HistoryFile, P], Coroutine[Any, Any, T]]:
    """Have the file know since when `method` waits for its disk."""

    @wraps(method)
    async def timed(self: HistoryFile, /, *args: P.args, **kwargs: P.kwargs) -> T:
        self.waits_since = anyio.current_time()
        try:
            return await method(self, *args, **kwargs)
        finally:
            self.waits_since = None

    return timed


class HistoryFile:
    """The history at `path`, open for writing or not. Methods raise sqlite3.Error, OSError or HistoryError."""

    def __init__(self, path: Path) -> None:
        """Point at `path`; nothing is opened."""
        self.path = path
        self.wal_bytes = 0
        """Size of the write-ahead log when it was last looked at."""
        self.waits_since: float | None = None
        """Since when the disk has been asked something, on the loop's clock; None while nobody waits for it."""
        self._connection: aiosqlite.Connection | None = None

    @property
    def delay(self) -> str:
        """Why nothing is written though nothing has failed, in one line; empty where that is not so."""
        waited_s = 0.0 if self.waits_since is None else anyio.current_time() - self.waits_since
        return f"{self.path}: its disk has not answered for {waited_s:.0f}s" if waited_s >= _SLOW_S else ""

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    @_on_disk
    async def open(self, started_ms: int) -> None:
        """Connect, making and migrating the file, and note that this process's run began at `started_ms`."""
        connection = aiosqlite.Connection(self._connect, _FETCHED_AT_ONCE)
        try:
            await connection
        except BaseException:
            # aiosqlite's thread says that it ends through the loop, which must not be gone by then.
            await anyio.sleep(_THREAD_END_S)
            raise
        self._connection = connection
        for table in (
            "attempt",
            "probe",
            "request",
        ):  # somebody may have taken a mark away: nothing is counted twice for that
            await connection.execute(_MARK.format(table))
        await connection.execute("INSERT OR IGNORE INTO run (at_ms, pid) VALUES (?, ?)", (started_ms, os.getpid()))

    @_on_disk
    async def write(self, inserts: Inserts) -> int:
        """Insert everything in one transaction; return how many rows the schema refused.

        Raises HistoryVanished where the file was deleted or replaced since it was opened.
        """
        connection = self._opened
        ((in_place, self.wal_bytes),) = await connection.execute_fetchall("SELECT in_place(), wal_bytes()")
        if not in_place:
            raise HistoryVanished(f"{self.path} was deleted or replaced while the daemon wrote it")
        refused = 0
        await connection.execute("BEGIN IMMEDIATE")
        for table, values in inserts.items():
            cursor = await connection.executemany(INSERTS[table], values)
            refused += len(values) - cursor.rowcount
        await connection.execute("COMMIT")
        return refused

    @_on_disk
    async def perform(self, chore: Chore) -> bool:
        """Do one step of `chore` in one transaction; return whether there is more of it."""
        connection = self._opened
        await connection.execute("BEGIN IMMEDIATE")
        for statement in chore.statements:
            await connection.execute(statement, chore.parameters)
        await connection.execute("COMMIT")
        found = list(await connection.execute_fetchall(chore.more, chore.parameters))
        return bool(found and found[0][0])

    @_on_disk
    async def finish(self, ended_ms: int) -> None:
        """Note that the run ended, and leave one plain file that a reader who may not write its folder can open."""
        connection = self._opened
        await connection.execute(
            "UPDATE run SET ended_ms = ? WHERE id = (SELECT max(id) FROM run) AND pid = ?", (ended_ms, os.getpid())
        )
        with suppress(sqlite3.OperationalError):  # a reader holds it open: then it also keeps the -shm file alive
            await connection.execute("PRAGMA journal_mode = DELETE")

    @_on_disk
    async def close(self) -> None:
        """Give the connection up; what was not committed is undone. Raises nothing."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                await connection.close()

    @property
    def _opened(self) -> aiosqlite.Connection:
        if self._connection is None:
            raise HistoryError(f"{self.path} is not open")
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = open_history(self.path)
        opened = _identity(self.path)
        connection.create_function("in_place", 0, lambda: _identity(self.path) == opened)
        connection.create_function("wal_bytes", 0, lambda: _size(Path(f"{self.path}-wal")))
        return connection


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
