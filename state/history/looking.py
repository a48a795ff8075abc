"""Looking through a whole file for damage, on a connection and a thread of its own: a large one takes a while."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from state.history.troubles import is_damage

__all__ = ["damage_in"]

_LOOK_S: Final = 20.0
"""For how long a file is looked through: 140 MB a second were measured."""


async def damage_in(path: Path) -> str:
    """Return what is wrong with the file at `path`; empty where nothing is, as far as can be seen in time."""
    looking = _opened(path)
    if looking is None:
        return ""  # it has gone, or may not be read: the writing of it tells of that
    found = None
    try:
        with anyio.move_on_after(_LOOK_S):
            found = await anyio.to_thread.run_sync(_first_damage, looking, abandon_on_cancel=True)
    finally:
        if found is None:  # else its thread would hold up the end of the process
            with suppress(sqlite3.ProgrammingError):
                looking.interrupt()
    return found or ""


def _opened(path: Path) -> sqlite3.Connection | None:
    try:
        return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    except sqlite3.Error:
        return None


def _first_damage(connection: sqlite3.Connection) -> str:
    """Return the first thing that is wrong; an interruption by another thread is the end of the looking."""
    with closing(connection):
        try:
            (first,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            return str(error) if is_damage(error) else ""
    return "" if first == "ok" else str(first)
