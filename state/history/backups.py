"""Copies of the history: whole, of one moment, while it is written."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from state.errors import HistoryError
from state.history.places import FILE_MODE, beside, new_file, sync_folder

__all__ = ["back_up", "copy_history", "prune_backups"]

_PART: Final = ".part"
"""What the name of a copy ends with until it is whole, before the number of the process: two may copy at once."""
_PAGES: Final = 2048
"""Copied at once, 8 MiB: so that an interrupt is heard."""
_SPARE: Final = 1.05
"""Room for a copy, in its size: the migration needs some too."""


def back_up(connection: sqlite3.Connection, path: Path, version: int, stamp: str) -> Path:
    """Copy the history at `path` beside it before its schema changes; return the copy's name.

    Raises HistoryError where there is no room for it or it cannot be written: then nothing must be changed.
    """
    copy = Path(f"{path}.v{version}-{stamp}.bak")
    for left in beside(path, f".v*.bak{_PART}*"):
        left.unlink()
    _insist_on_room(connection, path, version)
    try:
        copy_history(connection, copy)
    except (sqlite3.Error, OSError) as error:
        raise HistoryError(f"{_refusal(path, version)} {error}; {_ADVICE}") from error
    if os.geteuid() == 0:  # an operator who looks after the daemon's file: the copy is the daemon's too
        owner = path.stat()
        os.chown(copy, owner.st_uid, owner.st_gid)
    return copy


def prune_backups(path: Path, keep: int) -> tuple[Path, ...]:
    """Delete all but the newest `keep` copies that migrations made; return those that went."""
    copies = sorted(beside(path, ".v*-*.bak"), key=lambda copy: copy.name.rpartition("-")[2])
    gone = tuple(copies[: max(0, len(copies) - keep)])
    for copy in gone:
        copy.unlink()
    return gone


def copy_history(source: sqlite3.Connection, copy: Path) -> None:
    """Write what `source` sees now to `copy`, which is there as a whole or not at all; one that was there is replaced.

    Writers go on meanwhile. The copy needs no -wal and no -shm file, so that whoever may read it can open it.
    Raises sqlite3.Error and OSError.
    """
    part = copy.with_name(f"{copy.name}{_PART}{os.getpid()}")
    try:
        os.close(new_file(part, FILE_MODE))
        part.chmod(FILE_MODE)
        _copy(source, part)
        _sync(part)
        part.rename(copy)
    finally:
        for rest in (part, Path(f"{part}-journal"), Path(f"{part}-wal"), Path(f"{part}-shm")):
            rest.unlink(missing_ok=True)
    sync_folder(copy.parent)


def _copy(source: sqlite3.Connection, part: Path) -> None:
    """Copy within one transaction that reads: else each row that somebody writes would make it begin anew."""
    with closing(sqlite3.connect(part, isolation_level=None)) as target:
        source.execute("BEGIN")
        try:
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            source.backup(target, pages=_PAGES)
        finally:
            source.execute("ROLLBACK")
        target.execute("PRAGMA journal_mode = DELETE")


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDWR)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


_ADVICE: Final = "make room in its folder, or set keep_backups = 0 in [history] to go without a copy"


def _refusal(path: Path, version: int) -> str:
    return f"{path} stays at schema {version}, since there is no copy of it to go back to:"


def _insist_on_room(connection: sqlite3.Connection, path: Path, version: int) -> None:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    needed, free = round(pages * page_size * _SPARE), shutil.disk_usage(path.parent).free
    if free < needed:
        raise HistoryError(
            f"{_refusal(path, version)} that needs {needed / 1e6:.1f} MB and {free / 1e6:.1f} MB are free; {_ADVICE}"
        )
