"""One daemon alone writes a history: a second one that is pointed at the same file is told so before it serves."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from state.errors import HistoryError

__all__ = ["claim"]

_MODE = 0o600
"""Whoever may open it could hold it, and no daemon would start."""


def claim(path: Path) -> int | None:
    """Claim the history at `path` for this process; return what holds the claim until it is closed or the process ends.

    None where no claim can be laid, in a folder that cannot be written: nor can the history, then. Raises HistoryError
    where another process has claimed it. A lock of its own beside the file, `flock(2)`'s: SQLite's locks come and go
    with each transaction, and the file may be set aside and made anew.
    """
    beside = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        claimed = os.open(beside, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
    except OSError:
        return None
    try:
        fcntl.flock(claimed, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(claimed)
        if isinstance(error, BlockingIOError):
            raise HistoryError(f"{path}: another daemon writes it; choose another with --history") from error
        return None
    return claimed
