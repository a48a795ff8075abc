"""Pruning a history that no daemon writes: the same steps that the recorder does, one after another."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from state.durations import Seconds
from state.errors import HistoryError
from state.history.housekeeping import pruning_chores
from state.history.migrations import APPLICATION_ID, SCHEMA_VERSION, open_history
from state.history.places import is_ours, size
from state.history.pruning import Pruned, Room
from state.history.retention import SHRINK, Chore
from state.history.troubles import told
from state.policy import HistoryPolicy

__all__ = ["prune_offline"]

_FOR_EVER: Final = Seconds(36_525 * 86_400)
_INCREMENTAL: Final = 2


def prune_offline(path: Path, older_than: Seconds, room: Room, now_ms: int) -> Pruned:
    """Delete the raw rows of the history at `path` that are older; `now_ms` is Unix time. Hourly figures stay.

    Raises HistoryError where there is no history, somebody else has it open, or it cannot be written.
    """
    with _alone(path) as connection:
        before, rows = size(path), 0
        policy = HistoryPolicy(keep_rows=_FOR_EVER, keep_decisions=_FOR_EVER, keep_rollups=_FOR_EVER)
        for chore in pruning_chores(policy, older_than, now_ms):
            rows += _perform(connection, chore)
        if room is Room.RETURNED:
            _shrink(connection)
        unused = connection.execute("SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size")
        return Pruned(rows=rows, bytes_before=before, bytes_after=size(path), unused_bytes=unused.fetchone()[0])


@contextmanager
def _alone(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file for writing, with nobody else at it; leave it as one plain file."""
    if not path.is_file():
        raise HistoryError(f"there is no history at {path}; name its file (--history)")
    try:
        if is_ours(path, APPLICATION_ID, SCHEMA_VERSION):  # before anything of it is changed
            with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as looking:
                _insist_on_nobody_else(looking, path)
        with closing(open_history(path)) as connection:
            _insist_on_nobody_else(connection, path)
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise HistoryError(told(error, path)) from error


def _insist_on_nobody_else(connection: sqlite3.Connection, path: Path) -> None:
    """Take the lock that nobody gets while another connection is open, in this mode of SQLite's journal alone."""
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        raise HistoryError(
            f"{path} is open in another program; if that is a daemon, name its socket (--socket), else end it"
        ) from error


def _perform(connection: sqlite3.Connection, chore: Chore) -> int:
    deleted, more = 0, True
    while more:
        if chore.script:
            connection.executescript(chore.script)
        else:
            connection.execute("BEGIN IMMEDIATE")
            for statement in chore.statements:
                cursor = connection.execute(statement, chore.parameters)
                deleted += max(0, cursor.rowcount) if chore.deletes else 0
            connection.execute("COMMIT")
        ((more,),) = connection.execute(chore.more, chore.parameters).fetchall()
    return deleted


def _shrink(connection: sqlite3.Connection) -> None:
    """Give unused pages back; a file of an earlier fairlead is written anew, which it needs only once."""
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0] == _INCREMENTAL:
        _perform(connection, SHRINK)
    else:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
