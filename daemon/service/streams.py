"""The standard streams: open, whatever the process was started with, and none of them worth dying for."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["open_standard_streams"]

_STDERR = 2


class _Lasting(io.FileIO):
    """A file that takes whatever it is given: a reader that has gone, as a restarted journal, is no reason to end."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, or lose, all of `data`."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def open_standard_streams() -> None:
    """Fill the places of closed ones, which sockets and files would take else; let stderr outlive its reader."""
    for descriptor in range(_STDERR + 1):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free one, so this one
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - it lives as long as the process
    raw = _Lasting(_STDERR, "w", closefd=False)
    sys.stderr = io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True)
