"""Undoing a body's compression within bounds: a gigabyte of zeros is a megabyte on its way."""

from __future__ import annotations

import zlib
from typing import Final

__all__ = ["TooLarge", "Unpacker", "Unreadable"]

_PIECE: Final = 256 * 2**10
"""About a millisecond's work."""
_EITHER: Final = 47
"""zlib's number for gzip or zlib, whichever it is; -15 is for neither's header, which some call deflate."""
_ZLIB: Final = 8


class TooLarge(Exception):
    """More came out than is taken."""


class Unreadable(Exception):
    """The bytes are not what they are said to be."""


class Unpacker:
    """Unpacks one body."""

    def __init__(self, packed: bytes, coding: str, most: int) -> None:
        """Begin with `packed`, which `coding` has packed. Raises Unreadable where that is unknown here."""
        if coding not in {"gzip", "deflate"}:
            raise Unreadable(f"content-encoding {coding} is not understood here; use gzip, or none")
        self._bare = coding == "deflate" and packed[:1] != b"" and packed[0] & 15 != _ZLIB
        self._packed = packed
        self._pieces: list[bytes] = []
        self._size = 0
        self._most = most
        self._inflate = self._begun()

    def _begun(self) -> zlib._Decompress:
        return zlib.decompressobj(wbits=-15 if self._bare else _EITHER)

    def step(self) -> bytes | None:
        """Unpack a piece; return the whole body once it is there. Raises TooLarge and Unreadable."""
        try:
            piece = self._inflate.decompress(self._packed, _PIECE)
        except zlib.error as error:
            raise Unreadable("the body is not compressed as it says") from error
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > self._most:
            self._pieces.clear()
            raise TooLarge
        if not self._inflate.eof:
            if not piece and not self._inflate.unconsumed_tail:
                raise Unreadable("the compressed body is cut short")
            self._packed = self._inflate.unconsumed_tail
            return None
        self._packed = self._inflate.unused_data
        if not self._packed:
            return b"".join(self._pieces)
        self._inflate = self._begun()
        return None

    def rest(self) -> bytes:
        """Return the whole body. Raises TooLarge and Unreadable."""
        while (whole := self.step()) is None:
            pass
        return whole
