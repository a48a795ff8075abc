"""One connection to the daemon: an input goes out whole or in pieces, and all that comes back is kept."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Final, NamedTuple

from benchmarks.fuzz.house import House

__all__ = ["Exchanged", "exchanged"]

_SILENCE_S: Final = 0.25
"""After so long without a byte nothing more is expected of an answer that has begun, or of half a request."""
_PATIENCE_S: Final = 6.0
"""What a whole request may take until its answer begins."""
_LONGEST_S: Final = 9.0
_PIECES: Final = {5, 6}
_TCP: Final = {6, 7}


class Exchanged(NamedTuple):
    """What came back, and how long that took."""

    raw: bytes
    took_s: float
    refused: bool = False
    """Whether there was nobody to connect to."""


async def exchanged(house: House, data: bytes, *, framed: bool) -> Exchanged:
    """Send an input, whose first byte says how, and return what came back. `framed`: it is surely a whole request."""
    way, request = data[0] % 8 if data else 0, data[1:]
    try:
        if way in _TCP:
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        else:
            reader, writer = await asyncio.open_unix_connection(str(house.socket))
    except OSError:
        return Exchanged(b"", 0.0, refused=True)
    began = time.monotonic()
    try:
        await _sent(writer, request, in_pieces=way in _PIECES)
        raw = await _come_back(reader, _PATIENCE_S if framed else _SILENCE_S)
    finally:
        writer.transport.abort()
    return Exchanged(raw, time.monotonic() - began)


async def _sent(writer: asyncio.StreamWriter, request: bytes, *, in_pieces: bool) -> None:
    size = max(1, len(request) // 5) if in_pieces else max(1, len(request))
    with contextlib.suppress(OSError):
        for at in range(0, len(request), size):
            writer.write(request[at : at + size])
            await writer.drain()
            if in_pieces:
                await asyncio.sleep(0.001)


async def _come_back(reader: asyncio.StreamReader, patience_s: float) -> bytes:
    raw, end = bytearray(), time.monotonic() + _LONGEST_S
    with contextlib.suppress(OSError, TimeoutError):
        while time.monotonic() < end:
            piece = await asyncio.wait_for(reader.read(65536), _SILENCE_S if raw else patience_s)
            if not piece:
                break
            raw += piece
    return bytes(raw)
