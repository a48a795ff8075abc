"""A request whose body is read, and unpacked, within the doorkeeper's bounds."""

from __future__ import annotations

from typing import cast

import anyio.to_thread
from aiohttp import web

from daemon.doors.connection import Connection
from daemon.doors.guard.unpacking import TooLarge, Unpacker, Unreadable

__all__ = ["Request"]


class Request(web.BaseRequest):
    """One request."""

    async def read(self) -> bytes:
        """Return the whole body. Raises HTTPRequestEntityTooLarge, or what the server answers where no room is."""
        if self._read_bytes is None:
            body = await self._whole()
            coding = self._message.compression
            self._read_bytes = await self._unpacked(body, coding) if coding and body else body
        return self._read_bytes

    async def _whole(self) -> bytes:
        connection = cast("Connection", self.protocol)
        pieces: list[bytes] = []
        size = 0
        try:
            while piece := await self._payload.readany():
                size += len(piece)
                if size > self._client_max_size:
                    raise web.HTTPRequestEntityTooLarge(self._client_max_size, size)
                connection.hold(len(piece))
                pieces.append(piece)
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        finally:
            pieces.clear()  # what is raised keeps this frame, for as long as its answer takes

    async def _unpacked(self, packed: bytes, coding: str) -> bytes:
        """Undo the compression: what is small at once, the rest beside the loop, one body at a time."""
        connection = cast("Connection", self.protocol)
        try:
            unpacker = Unpacker(packed, coding, self._client_max_size)
            body = unpacker.step()
            if body is None:
                body = await anyio.to_thread.run_sync(unpacker.rest, limiter=connection.unpacking)
        except TooLarge as error:
            raise web.HTTPRequestEntityTooLarge(self._client_max_size) from error
        except Unreadable as error:
            raise web.RequestPayloadError(str(error)) from error
        connection.hold(len(body))
        return body
