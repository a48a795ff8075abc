"""Undoing a body's compression within bounds: a gigabyte of zeros is a megabyte on its way."""

from __future__ import annotations

import zlib
from typing import Final

__all__ = ["TooLarge", "Unpacker", "Unreadable"]

_PIECE: Final = 256 * 2**10
"""About a millisecond's work."""
_WINDOW: Final = 64 * 2**10
"""What zlib is given at a time: of what it leaves it makes a copy, and of a whole body each time that is quadratic."""
_MOST_MEMBERS: Final = 1024
"""Packed bodies one after the other, as gzip has them; four times what 16 MiB in bgzip's blocks are."""
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
        self._at = 0
        self._members = 1
        self._pieces: list[bytes] = []
        self._size = 0
        self._most = most
        self._inflate = self._begun()

    def _begun(self) -> zlib._Decompress:
        return zlib.decompressobj(wbits=-15 if self._bare else _EITHER)

    def step(self) -> bytes | None:
        """Unpack a piece; return the whole body once it is there. Raises TooLarge and Unreadable."""
        window = self._packed[self._at : self._at + _WINDOW]
        try:
            piece = self._inflate.decompress(window, _PIECE)
        except zlib.error as error:
            raise Unreadable("the body is not compressed as it says") from error
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > self._most:
            self._pieces.clear()
            raise TooLarge
        left = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        self._at += len(window) - len(left)
        over = self._at >= len(self._packed)
        if self._inflate.eof and over:
            return b"".join(self._pieces)
        if self._inflate.eof:
            self._next_member()
        elif over and not piece:
            raise Unreadable("the compressed body is cut short")
        return None

    def _next_member(self) -> None:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise Unreadable("the compressed body is in too many parts")
        self._inflate = self._begun()

    def rest(self) -> bytes:
        """Return the whole body. Raises TooLarge and Unreadable."""
        while (whole := self.step()) is None:
            pass
        return whole
