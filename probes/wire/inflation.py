"""Bodies that came compressed although nobody asked: gzip and deflate, taken apart piece by piece."""

from __future__ import annotations

import zlib
from typing import Literal

__all__ = ["Inflater", "inflater_for"]

MOST = 256 * 1024
"""Bytes that one step yields at most, so that a small body cannot swell without end."""
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB_METHOD = 8


class Inflater:
    """Decompresses one body. Raises zlib.error where the bytes are not what they should be."""

    def __init__(self, coding: Literal["gzip", "deflate"]) -> None:
        """Expect gzip, or what `deflate` means: zlib, or the raw form that some servers send instead."""
        self._gzip = coding == "gzip"
        self._stream = zlib.decompressobj(_GZIP) if self._gzip else None
        self._waiting = b""

    @property
    def finished(self) -> bool:
        """Whether what came so far is a whole body."""
        return self._stream is None or self._stream.eof

    @property
    def hungry(self) -> bool:
        """Whether there is nothing left to yield without more input."""
        return not self._waiting

    def feed(self, data: bytes) -> bytes:
        """Return at most `MOST` bytes of what `data` and everything before it holds; call again until `hungry`."""
        data = self._waiting + data
        if not data:
            return b""
        if self._stream is None:
            wrapped = data[0] & 0x0F == _ZLIB_METHOD
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        elif self._stream.eof and self._gzip:
            self._stream = zlib.decompressobj(_GZIP)
        plain = self._stream.decompress(data, MOST)
        self._waiting = self._stream.unconsumed_tail or (self._stream.unused_data if self._gzip else b"")
        return plain


def inflater_for(coding: str) -> Inflater | None:
    """Return what takes a `content-encoding` apart, None for one that is left as it is."""
    match coding.strip().lower():
        case "gzip" | "x-gzip":
            return Inflater("gzip")
        case "deflate":
            return Inflater("deflate")
        case _:
            return None
