"""The answers that are kept: an actor with a file of its own beside the history, which itself never holds text.

A daemon without a workload that asks for it never makes the file. Whatever is wrong with the file, answers are merely
not found: nobody waits for it, and nothing raises.
"""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.to_thread
import msgspec
import structlog

from state.mailbox import Mailbox, Reply

__all__ = ["AnswerKept", "AnswerLimits", "AnswerMessage", "AnswerStore", "AnswerWanted", "Kept"]

T = TypeVar("T")
_log = structlog.get_logger("fairlead.answers")
_APPLICATION_ID: Final = 0x4641494E
"""`FAIN`: a fairlead's answers."""
_VERSION: Final = 1
"""A file of another version is emptied: what it keeps is only ever a convenience."""
_MOST_BYTES: Final = 256 * 1024
"""A longer text is not kept."""
_PATIENCE_S: Final = 30.0
"""After trouble with the file, it is left alone for so long."""
_BUSY_S: Final = 1.0
_OFTEN_S: Final = 60.0
"""At most so often it is looked for answers that are too old, where nobody has any kept."""
_TO_SPARE: Final = 0.9
"""What is more than a workload may have is thrown out down to this share of it, so that there is room for a while."""
_SCHEMA: Final = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
DROP TABLE IF EXISTS answer;
CREATE TABLE answer (
  -- One row per question: its last good answer.
  key BLOB PRIMARY KEY, -- a hash of the workload, the asker and the question
  workload TEXT NOT NULL, -- to whose question it was given
  at REAL NOT NULL, -- when it was given, Unix seconds
  expires REAL NOT NULL, -- until when its workload keeps it, Unix seconds
  model TEXT NOT NULL, -- which target gave it
  text TEXT NOT NULL, -- what it said
  bytes INTEGER NOT NULL -- its length in UTF-8
) STRICT;
CREATE INDEX answer_workload ON answer (workload, at);
CREATE INDEX answer_expires ON answer (expires);
"""
_KEEP: Final = (
    "INSERT OR REPLACE INTO answer (key, workload, at, expires, model, text, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_EXPIRE: Final = "DELETE FROM answer WHERE expires < ?"
_NEXT_EXPIRY: Final = "SELECT min(expires) FROM answer"
_TOTAL: Final = "SELECT coalesce(sum(bytes), 0) FROM answer WHERE workload = ?"
_EVICT: Final = """
DELETE FROM answer WHERE key IN (
  SELECT key FROM (
    SELECT key, sum(bytes) OVER (ORDER BY at DESC, key) AS total FROM answer WHERE workload = ?
  ) WHERE total > ?
)"""


class AnswerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long a workload's answers are kept, in seconds, and how many bytes of text of them altogether."""

    max_age_s: float
    max_bytes: int


class Kept(msgspec.Struct, frozen=True):
    """One answer."""

    text: str
    model: str
    at: float
    """Unix seconds."""


class AnswerKept(msgspec.Struct, frozen=True, kw_only=True):
    """A good answer was given."""

    key: bytes
    workload: str
    text: str
    model: str
    limits: AnswerLimits


class AnswerWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody answers: the last good answer is wanted, no older than `max_age_s`."""

    key: bytes
    max_age_s: float
    reply: Reply[Kept | None]


AnswerMessage = AnswerKept | AnswerWanted


class AnswerStore:
    """Keeps answers in the file at `path`; `wall` gives Unix seconds."""

    def __init__(self, mailbox: Mailbox[AnswerMessage], path: Path, wall: Callable[[], float]) -> None:
        """Open nothing yet."""
        self._mailbox = mailbox
        self._path = path
        self._wall = wall
        self._rest_until = 0.0
        self._look_at = math.inf
        """When it is next looked for answers that are too old, on the loop's clock."""
        self._totals: dict[str, int] = {}
        """No less than what lies there of each workload, in bytes, since it was last counted."""
        self.waits_on_disk = False
        """Whether its next turn waits for the file."""

    async def run(self) -> None:
        """Serve the mailbox until cancelled. No state of the file raises anything."""
        if self._path.exists():
            self._look_at = anyio.current_time()
        while True:
            with anyio.CancelScope(deadline=self._look_at):
                await self._mailbox.arrival()
            await self._serve(self._mailbox.take_all())
            if anyio.current_time() >= self._look_at:
                wait_s = await self._with_file(self._expire, _OFTEN_S)
                self._look_at = anyio.current_time() + max(_OFTEN_S, wait_s)

    async def _serve(self, messages: list[AnswerMessage]) -> None:
        """Find what is wanted first: a client waits for that."""
        for message in messages:
            if isinstance(message, AnswerWanted):
                found = await self._with_file(partial(self._find, message), None)
                message.reply.send(found)
        if kept := [message for message in messages if isinstance(message, AnswerKept)]:
            await self._with_file(partial(self._keep, kept), None)
            self._look_at = min(self._look_at, anyio.current_time() + _OFTEN_S)

    async def _with_file(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        if anyio.current_time() < self._rest_until:
            return otherwise
        self.waits_on_disk = True
        try:
            return await anyio.to_thread.run_sync(self._opened, work)
        except (sqlite3.Error, OSError) as error:
            self._rest_until = anyio.current_time() + _PATIENCE_S
            self._totals.clear()  # what was counted may be undone
            _log.warning("answers_unavailable", path=str(self._path), cause=str(error))
            return otherwise
        finally:
            self.waits_on_disk = False

    def _opened(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with closing(_open(self._path)) as connection:
            return work(connection)

    def _keep(self, kept: list[AnswerKept], connection: sqlite3.Connection) -> None:
        now = self._wall()
        rows = [row for row in (_row(one, now) for one in kept) if row[-1] <= _MOST_BYTES]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_KEEP, rows)
        connection.execute(_EXPIRE, (now,))
        for workload, limits in {one.workload: one.limits for one in kept}.items():
            added = sum(row[-1] for row in rows if row[1] == workload)
            self._bound(connection, workload, limits.max_bytes, added)
        connection.execute("COMMIT")

    def _bound(self, connection: sqlite3.Connection, workload: str, most: int, added: int) -> None:
        """Throw the oldest answers of `workload` out where it has too many; count them only where it might."""
        known = self._totals.pop(workload, None)
        total = most + 1 if known is None else known + added
        if total > most:
            total = _total(connection, workload)
        if total > most:
            connection.execute(_EVICT, (workload, most * _TO_SPARE))
            total = _total(connection, workload)
        self._totals[workload] = total

    def _expire(self, connection: sqlite3.Connection) -> float:
        """Delete what is too old, and return in how many seconds something will be."""
        now = self._wall()
        connection.execute(_EXPIRE, (now,))
        (expires,) = connection.execute(_NEXT_EXPIRY).fetchone()
        return math.inf if expires is None else expires - now

    def _find(self, wanted: AnswerWanted, connection: sqlite3.Connection) -> Kept | None:
        row = connection.execute("SELECT text, model, at FROM answer WHERE key = ?", (wanted.key,)).fetchone()
        return Kept(*row) if row is not None and 0.0 <= self._wall() - row[2] <= wanted.max_age_s else None


def _total(connection: sqlite3.Connection, workload: str) -> int:
    (total,) = connection.execute(_TOTAL, (workload,)).fetchone()
    return int(total)


def _row(one: AnswerKept, now: float) -> tuple[bytes, str, float, float, str, str, int]:
    text = one.text.encode("utf-8", "replace")  # a lone surrogate is none that SQLite takes
    return one.key, one.workload, now, now + one.limits.max_age_s, one.model, text.decode(), len(text)


def _open(path: Path) -> sqlite3.Connection:
    """Return a connection to the file, made where there is none. Raises sqlite3.Error, OSError where it is not ours."""
    fresh = not path.exists()
    if fresh:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    try:
        _insist_on_ours(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _insist_on_ours(connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (things,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != _APPLICATION_ID and (application or things):
        raise sqlite3.DatabaseError("it is the database of another application")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if (application, version) != (_APPLICATION_ID, _VERSION):
        connection.executescript(_SCHEMA)
