"""Bodies that are read whole, and how long one may be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from probes.calls import CutShort

__all__ = ["MAX_ERROR_BYTES", "MAX_REPLY_BYTES", "whole_body"]

MAX_REPLY_BYTES: Final = 64 * 1024 * 1024
"""A whole answer beyond this is not what was asked; large embedding batches stay well below."""
MAX_ERROR_BYTES: Final = 1024 * 1024
"""Nobody explains an error at more length: what says more is read no further."""


async def whole_body(read: Callable[[], Awaitable[bytes]], most: int) -> bytes:
    """Return all that `read` gives, piece by piece. Raises CutShort, also where it is larger than `most` bytes."""
    pieces = []
    size = 0
    while piece := await read():
        size += len(piece)
        if size > most:
            raise CutShort(f"the answer is larger than {most} bytes")
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
