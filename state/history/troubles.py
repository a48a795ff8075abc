"""What is wrong with the history's file, in words, and whether it is damage: what trying again cannot heal."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from state.errors import HistoryError

__all__ = ["Trouble", "find_damage", "is_damage", "told"]

Trouble: Final = (sqlite3.Error, OSError, HistoryError)
"""What the history's file may raise whatever is wrong with it."""
_DAMAGE: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_READ_ONLY: Final = "its disk or its file is read-only for the daemon: let it be written again"
_FULL: Final = "make room on its disk"
_LOCKED: Final = "another program holds its lock: end it"
_DAMAGED: Final = "look at its disk; it will be set aside, and a new one made"
_BY_CODE: Final = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}
_BY_ERRNO: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
}
_ELSE: Final = "look at its folder, its permissions and its disk"


def told(trouble: Exception, path: Path) -> str:
    """Return what is wrong, where, and what to do, in one line."""
    if isinstance(trouble, HistoryError):
        return str(trouble)
    number = getattr(trouble, "errno", None)
    advice = _BY_CODE.get(_code(trouble)) or _BY_ERRNO.get(number or 0, _ELSE)
    return f"{path} cannot be written: {trouble}; {advice}"


def is_damage(trouble: Exception) -> bool:
    """Return whether SQLite found nonsense where the file's pages should be."""
    return _code(trouble) in _DAMAGE


def find_damage(connection: sqlite3.Connection) -> str:
    """Look through the whole file; return what is wrong with it, empty where nothing was found. Closes the connection.

    Another thread may interrupt it, which is the end of the looking and no damage.
    """
    with closing(connection):
        try:
            (first,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            return str(error) if is_damage(error) else ""
    return "" if first == "ok" else str(first)


def _code(trouble: Exception) -> int:
    return getattr(trouble, "sqlite_errorcode", 0) & 0xFF
