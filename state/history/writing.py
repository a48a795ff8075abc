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
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

import aiosqlite
import anyio

from state.errors import HistoryError
from state.history.looking import damage_in
from state.history.migrations import APPLICATION_ID, SCHEMA_VERSION, NotSqlite, Opening, open_history
from state.history.places import identity, is_ours, is_sqlite, set_aside, size
from state.history.retention import Chore, Done
from state.history.tables import INSERTS, Inserts
from state.history.troubles import is_damage

__all__ = ["HistoryFile", "HistoryVanished", "Sizes"]

T = TypeVar("T")
P = ParamSpec("P")
_FETCHED_AT_ONCE: Final = 64
_THREAD_END_S: Final = 0.01
_SLOW_S: Final = 5.0
"""A disk that has not answered for so long is told of."""
_TIMES_DAMAGED: Final = 2
"""How often SQLite finds damage before it is believed: the second time on a new connection."""
_MARK: Final = """
INSERT OR IGNORE INTO rollup_mark (source, last_id) SELECT '{0}', (SELECT coalesce(max(id), 0) FROM {0})"""
_LOOK: Final = "SELECT in_place(), has_header(), file_bytes(), wal_bytes()"
_LAST_RUN: Final = "SELECT ended_ms IS NULL FROM run ORDER BY id DESC LIMIT 1"


class HistoryVanished(HistoryError):
    """The file that was being written no longer lies at its path, or has to be given up."""


class Sizes(NamedTuple):
    """Bytes, when they were last looked at."""

    file: int = 0
    wal: int = 0


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
        self.sizes = Sizes()
        self.unclean = False
        """Whether the run that wrote it before this process never ended: its last rows may be missing."""
        self.waits_since: float | None = None
        """Since when the disk has been asked something, on the loop's clock; None while nobody waits for it."""
        self._connection: aiosqlite.Connection | None = None
        self._known: tuple[int, int] | None = None
        self._damaged = 0
        self._found = ""
        self._aside: Path | None = None

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
    async def open(self, started_ms: int, opening: Opening) -> None:
        """Connect, making and migrating the file, and note that this process's run began at `started_ms`."""
        connection = aiosqlite.Connection(lambda: self._connect(opening), _FETCHED_AT_ONCE)
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
        found = list(await connection.execute_fetchall(_LAST_RUN))
        cursor = await connection.execute(
            "INSERT OR IGNORE INTO run (at_ms, pid) VALUES (?, ?)", (started_ms, os.getpid())
        )
        self.unclean = bool(found and found[0][0] and cursor.rowcount)

    def take_aside(self) -> Path | None:
        """Return under which name a damaged file was set aside since the last call, None where none was."""
        aside, self._aside = self._aside, None
        return aside

    def suffered(self, trouble: Exception) -> None:
        """Remember damage that was met in a file of ours: what happens again on a new connection is in the file."""
        if self.is_open and is_damage(trouble):
            self._damaged += 1

    async def look_through(self) -> None:
        """Where the last run was killed, look through the whole file beside its writing; `write` tells of damage."""
        if self.unclean:
            looked_at = identity(self.path)
            found = await damage_in(self.path)
            self._found = found if identity(self.path) == looked_at else ""

    @_on_disk
    async def write(self, inserts: Inserts) -> int:
        """Insert everything in one transaction; return how many rows the schema refused.

        Raises HistoryVanished where the file was deleted or replaced since it was opened, or is to be set aside.
        """
        connection = self._opened
        ((in_place, header, *sizes),) = await connection.execute_fetchall(_LOOK)
        self.sizes = Sizes(*sizes)
        if not in_place:
            self._found = ""
            raise HistoryVanished(f"{self.path} was deleted or replaced while the daemon wrote it")
        damage = self._found or ("" if header else "it was emptied or overwritten while the daemon wrote it")
        if damage:
            self._damaged = _TIMES_DAMAGED
            raise HistoryVanished(f"{self.path} is damaged: {damage}")
        refused = 0
        await connection.execute("BEGIN IMMEDIATE")
        for table, values in inserts.items():
            cursor = await connection.executemany(INSERTS[table], values)
            refused += len(values) - cursor.rowcount
        await connection.execute("COMMIT")
        return refused

    @_on_disk
    async def perform(self, chore: Chore) -> Done:
        """Do one step of `chore` in one transaction."""
        connection = self._opened
        deleted = 0
        if chore.script:
            await connection.executescript(chore.script)
        else:
            await connection.execute("BEGIN IMMEDIATE")
            for statement in chore.statements:
                cursor = await connection.execute(statement, chore.parameters)
                deleted += max(0, cursor.rowcount)
            await connection.execute("COMMIT")
        found = list(await connection.execute_fetchall(chore.more, chore.parameters))
        return Done(bool(found and found[0][0]), deleted if chore.deletes else 0)

    @_on_disk
    async def settled(self) -> tuple[int, int]:
        """Bring the log into the file, as far as readers let it; return the file's bytes, and the unused ones in it."""
        connection = self._opened
        await connection.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
        ((file, unused),) = await connection.execute_fetchall(
            "SELECT file_bytes(), freelist_count * page_size FROM pragma_freelist_count, pragma_page_size"
        )
        return int(file), int(unused)

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

    def _connect(self, opening: Opening) -> sqlite3.Connection:
        if self._damaged >= _TIMES_DAMAGED:
            self._set_aside(opening)
        connection = self._open_or_replace(opening)
        opened = self._known = identity(self.path)
        connection.create_function("in_place", 0, lambda: identity(self.path) == opened)
        connection.create_function("has_header", 0, lambda: is_sqlite(self.path))
        connection.create_function("file_bytes", 0, lambda: size(self.path))
        connection.create_function("wal_bytes", 0, lambda: size(Path(f"{self.path}-wal")))
        return connection

    def _open_or_replace(self, opening: Opening) -> sqlite3.Connection:
        """Open what is there; what is damaged and certainly a history is set aside first."""
        try:
            return open_history(self.path, opening)
        except (NotSqlite, sqlite3.DatabaseError) as error:
            mine = identity(self.path) == self._known or is_ours(self.path, APPLICATION_ID, SCHEMA_VERSION)
            if not mine or not (isinstance(error, NotSqlite) or is_damage(error)):
                raise
        self._set_aside(opening)
        return open_history(self.path, opening)

    def _set_aside(self, opening: Opening) -> None:
        self._aside = set_aside(self.path, opening.stamp)
        self._damaged, self._found = 0, ""
