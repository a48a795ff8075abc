"""How the history is, for `status`, the metrics, and whoever else wants to know."""

from __future__ import annotations

from pathlib import Path

import msgspec

__all__ = ["RecorderState"]


class RecorderState(msgspec.Struct, frozen=True, kw_only=True):
    """How the recorder is, for `status` and the metrics."""

    ok: bool
    """Whether the last thing it tried to write reached the file."""
    cause: str
    """Why not, and what to do; empty where it is well."""
    unsaved_rows: int
    lost_rows: int
    """Rows lost since the process started."""
    path: Path
    file_bytes: int
    wal_bytes: int
    aside: Path | None = None
    """Where the damaged file is that this process has set aside, the newest; None where none was."""
