"""The history's file as a file: its mode, whether it is still the same one, and what is set aside beside it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from state.errors import HistoryError

__all__ = [
    "FILE_MODE",
    "PARTS",
    "beside",
    "identity",
    "is_ours",
    "is_sqlite",
    "make_file",
    "may_be_replaced",
    "new_file",
    "set_aside",
    "size",
    "sync_folder",
]

FILE_MODE: Final = 0o640
"""The group reads, as the contract has it; who is in it, and who may enter the folder, the operator says."""
_FOLDER_MODE: Final = 0o750
PARTS: Final = ("-wal", "-shm", "")
"""What SQLite adds to the file's name, the file itself last: a log without its file means nothing to SQLite."""
_MOST_SET_ASIDE: Final = 3
"""Damaged files that are kept. More of them mean a disk that damages whatever is written to it."""
_MAGIC: Final = b"SQLite format 3\0"
_VERSION_AT: Final = slice(60, 64)
_APPLICATION_AT: Final = slice(68, 72)
"""Where an SQLite file says of which version and whose it is: https://www.sqlite.org/fileformat2.html#the_database_header."""


def new_file(path: Path, mode: int) -> int:
    """Make `path` anew and return its descriptor; what a killed process left under that name goes.

    Never does it write through a link that somebody else has laid there. Raises OSError.
    """
    path.unlink(missing_ok=True)
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC, mode)


def may_be_replaced(path: Path) -> bool:
    """Return whether `path` is free or a regular file: a device, a pipe or a link would be gone."""
    return not os.path.lexists(path) or (path.is_file() and not path.is_symlink())


def make_file(path: Path) -> None:
    """Make the file and its folder where they are missing; let the group read a file of ours that it may not read.

    Whatever the umask: SQLite gives the -wal and -shm files the mode that the file has when they are made.
    """
    _make_folder(path.parent)
    try:
        made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE)
    except FileExistsError:
        for part in PARTS:
            _let_the_group_read(Path(f"{path}{part}"))
        return
    try:
        os.fchmod(made, FILE_MODE)
    finally:
        os.close(made)


def is_ours(path: Path, application_id: int, newest: int) -> bool:
    """Return whether the header of the file, perhaps all that is left of it, is that of a history up to `newest`."""
    header = _header(path)
    version = int.from_bytes(header[_VERSION_AT], "big")
    return header[_APPLICATION_AT] == application_id.to_bytes(4, "big") and version <= newest


def is_sqlite(path: Path) -> bool:
    """Return whether the file begins as an SQLite file does."""
    return _header(path).startswith(_MAGIC)


def _header(path: Path) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(100)
    except OSError:
        return b""


def set_aside(path: Path, stamp: str) -> Path:
    """Rename the file with its log, so that a new one can begin; return its new name. Nothing is ever deleted.

    Raises HistoryError where that has happened too often, OSError where the folder cannot be written.
    """
    earlier = [each for each in beside(path, ".corrupt-*") if not each.name.endswith(("-wal", "-shm"))]
    if len(earlier) >= _MOST_SET_ASIDE:
        raise HistoryError(
            f"{path} is damaged, as {len(earlier)} files before it were ({earlier[-1].name} is the newest); look at "
            "its disk, then move them away"
        )
    aside = Path(f"{path}.corrupt-{stamp}")
    for part in PARTS:
        source = Path(f"{path}{part}")
        if source.exists():
            source.rename(f"{aside}{part}")
    sync_folder(path.parent)
    return aside


def beside(path: Path, ending: str) -> list[Path]:
    """Return the files whose name is that of the history and `ending`, a pattern: the oldest first, by their names."""
    return sorted(each for each in path.parent.glob(f"{path.name}{ending}") if each.is_file())


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells this file from any other, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def size(path: Path) -> int:
    """Return its size in bytes, 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def sync_folder(folder: Path) -> None:
    """Let names that changed in `folder` outlast a loss of power."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        folder.chmod(_FOLDER_MODE)


def _let_the_group_read(path: Path) -> None:
    """Heal a mode that a copy or a restore has left; what is another user's is left alone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and mode & FILE_MODE != FILE_MODE:
        path.chmod(mode | FILE_MODE)
