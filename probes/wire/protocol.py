"""One HTTP/1.1 connection to a provider: bytes out, bytes in, parsed where they arrive.

This folder is the one place of fairlead that uses asyncio's transports and futures, because anyio has streams to await
and no callback protocol: with a callback the parser runs inside the loop's own read, and a request costs one wake-up
of its task instead of one for each read. Everything above speaks anyio.

A connection serves one exchange at a time and belongs to whoever runs it; between exchanges it idles in its pool.
An exchange that is cancelled closes it, so that the provider stops working for nobody.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from probes.wire.answer import Answer
from probes.wire.causes import lost
from state.errors import WireError

__all__ = ["HIGH_WATER", "PIECE", "Connection", "Keeper"]

HIGH_WATER = 256 * 1024
"""Bytes of unread body above which the peer is no longer read; reading goes on once all of them are taken."""
PIECE = 128 * 1024
"""A request is written in pieces of this size, each once the transport has room again."""
_BY_US = ConnectionAbortedError()


class Keeper(Protocol):
    """Who wants to know which connections are no more."""

    def lost(self, connection: Connection) -> None:
        """Take note of the end of a connection."""
        ...


class Connection(asyncio.Protocol):
    """One connection. `exchange` once, `read` to the end, then `reusable` says whether it may serve again."""

    __slots__ = (
        "_failure",
        "_keeper",
        "_loop",
        "_paused",
        "_place",
        "_sent",
        "_transport",
        "_waiter",
        "_writable",
        "answer",
        "closed",
        "idle_until",
    )

    def __init__(self, place: str, keeper: Keeper) -> None:
        """Name the peer `place` in messages, and tell `keeper` of the connection's end."""
        self.answer = Answer(place)
        self.closed = False
        """Whether it can no longer be used, by whoever's doing."""
        self.idle_until: float | None = None
        """The loop's time until which it may idle; None while it serves."""
        self._loop = asyncio.get_running_loop()
        self._place = place
        self._keeper = keeper
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._failure: WireError | None = None
        self._writable = True
        self._paused = False
        self._sent = False

    def __repr__(self) -> str:
        """Show the peer and what it is doing."""
        doing = "closed" if self.closed else "serving" if self.idle_until is None else "idle"
        return f"<Connection {self._place} {doing} status={self.answer.status} unread={self.answer.unread}>"

    # What the pool and the reply call.

    @property
    def reusable(self) -> bool:
        """Whether the exchange came to its proper end and both sides want another."""
        return self.answer.whole and self.answer.keeps and self._sent and not self.closed

    async def exchange(self, head: bytes, body: bytes) -> None:
        """Send a request and return once the status and headers of its answer are there.

        Raises Disconnected where the peer is gone before any byte of the answer, Garbled where it is not HTTP.
        """
        transport = self._transport
        if transport is None or self.closed:
            raise lost(None, self._place, begun="")
        answer = self.answer
        answer.reset()
        if len(body) <= PIECE:
            self._sent = True
            transport.write(head + body)
        else:
            self._sent = False
            await self._send_pieces(transport, head, body)
        while not answer.headed:
            if self._failure is not None:
                raise self._failure
            await self._news()

    async def read(self) -> bytes:
        """Return all of the body that has arrived since the last read, waiting for some; `b""` at its end.

        Raises CutShort or Garbled once everything before the failure has been read.
        """
        answer = self.answer
        while not answer.unread:
            if answer.whole:
                return b""
            if self._failure is not None:
                raise self._failure
            await self._news()
        body = answer.take()
        if self._paused:
            self._resume()
        return body

    def rest(self, until: float) -> None:
        """Idle until the loop's time `until`: from here on, whatever arrives closes the connection."""
        self.idle_until = until
        self.answer.take()
        if self._paused:
            self._resume()

    def serve(self) -> Connection:
        """Stop idling, and return itself."""
        self.idle_until = None
        return self

    def abort(self) -> None:
        """Close at once, whatever is under way. Never waits."""
        self._end(_BY_US)
        if self._transport is not None:
            self._transport.abort()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, hold the peer back where nobody reads, and wake whoever waits."""
        if self.closed:
            return
        if self.idle_until is not None:
            self.abort()
            return
        answer = self.answer
        try:
            answer.feed(data)
        except WireError as failure:
            self._failure = failure
            self.abort()
        if answer.unread > HIGH_WATER and not (self._paused or answer.whole):
            self._pause()
        self._wake()

    def eof_received(self) -> None:
        """Take the peer's half-close as its leaving, also where the transport still has bytes to send."""
        self._end(None)
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle what was under way, and tell the pool."""
        self._end(exc)
        self.answer.release()
        self._keeper.lost(self)

    def pause_writing(self) -> None:
        """Hold the next piece of a request back."""
        self._writable = False

    def resume_writing(self) -> None:
        """Let the next piece go."""
        self._writable = True
        self._wake()

    # Within.

    async def _news(self) -> None:
        """Wait until something changes. Being cancelled here closes the connection."""
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _send_pieces(self, transport: asyncio.Transport, head: bytes, body: bytes) -> None:
        """Write a large request piece by piece; an answer that comes before its end stops the writing."""
        transport.write(head)
        view = memoryview(body)
        for start in range(0, len(view), PIECE):
            while not (self._writable or self._answered):
                await self._news()
            if self._answered:
                return
            transport.write(view[start : start + PIECE])
        self._sent = True

    @property
    def _answered(self) -> bool:
        return self.answer.headed or self._failure is not None

    def _pause(self) -> None:
        if self._transport is not None and not self.closed:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None and not self.closed:
            self._transport.resume_reading()

    def _end(self, problem: Exception | None) -> None:
        """Decide, once, what the end of the connection means for the exchange under way."""
        if self.closed:
            return
        self.closed = True
        self._failure = self._failure or self.answer.end(problem)
        self._wake()
