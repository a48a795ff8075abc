"""An answer as the relay and the prober hold it: status, headers, and a body still being read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import anyio

from probes.calls import CutShort, Garbled
from probes.wire.causes import inflating
from probes.wire.inflation import Inflater, inflater_for
from probes.wire.protocol import Connection

__all__ = ["Reply"]


class Reply:
    """An UpstreamReply over one connection, which it gives back exactly once."""

    __slots__ = ("_connection", "_give_back", "_inflater", "_place", "connect_s", "headers", "status")

    def __init__(self, connection: Connection, give_back: Callable[[Connection], None], connect_s: float) -> None:
        """Speak for the answer that `connection` has just begun to receive."""
        answer = connection.answer
        self.status: int = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self.connect_s: float = connect_s
        self._connection: Connection | None = connection
        self._give_back = give_back
        self._inflater: Inflater | None = None
        if "content-encoding" in answer.headers:
            self._inflater = inflater_for(answer.headers["content-encoding"])
        if self._inflater is not None:
            self.headers = {
                name: value
                for name, value in answer.headers.items()
                if name not in {"content-encoding", "content-length"}
            }

    async def read(self) -> bytes:
        """Return the next piece of the body as it arrived, `b""` at its proper end.

        Raises CutShort where the body ended before its framing said so, Garbled where it cannot be decompressed, and
        anyio.ClosedResourceError after `aclose`.
        """
        connection = self._connection
        if connection is None:
            raise anyio.ClosedResourceError
        if self._inflater is not None:
            return await self._inflated(connection, self._inflater)
        return await connection.read()

    async def read_all(self, limit: int) -> bytes:
        """Return the whole rest of the body. Raises Garbled where it is longer than `limit` bytes."""
        pieces = []
        size = 0
        while piece := await self.read():
            size += len(piece)
            if size > limit:
                raise Garbled(f"the answer is longer than {limit} bytes")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def aclose(self) -> None:
        """Give the connection back where the body came to its end, else close it. Never waits on the network."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._give_back(connection)

    async def _inflated(self, connection: Connection, inflater: Inflater) -> bytes:
        while True:
            data = await connection.read() if inflater.hungry else b""
            if not data and inflater.hungry:
                if not inflater.finished:
                    raise CutShort("the compressed body ended before its end")
                return b""
            with inflating("the provider"):
                if plain := inflater.feed(data):
                    return plain
