"""The connections to one provider: those that idle between exchanges, and how a new one comes about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from probes.calls import Disconnected, UpstreamRequest
from probes.policy import Provider
from probes.wire.causes import connecting
from probes.wire.dialing import Route, dial
from probes.wire.heads import Heads
from probes.wire.protocol import Connection
from probes.wire.reply import Reply

__all__ = ["IDLE_S", "MAX_IDLE", "Pool"]

IDLE_S = 15.0
"""How long a connection idles where the peer does not say: below the shortest default in use among servers."""
MAX_IDLE = 64
"""Connections that idle at most; the oldest go first."""
_SWEEP_S = 5.0
_MARGIN_S = 1.0


class Pool:
    """Serves one provider's exchanges, on the connection that idled last or on a new one.

    A reused connection may die under a request because the peer had closed it already: nobody's fault, so the request
    goes out once more, at once, on a new connection, and `when_stale` is called.
    """

    def __init__(
        self, provider: Provider, route: Route, live: set[Connection], when_stale: Callable[[str], None]
    ) -> None:
        """Keep every open connection in `live`."""
        self.provider = provider
        self._route = route
        self._heads = Heads(route.origin, route.proxy)
        self._live = live
        self._when_stale = when_stale
        self._idle: list[Connection] = []
        self._loop = asyncio.get_running_loop()
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    def __repr__(self) -> str:
        """Show what idles."""
        return f"<Pool {self.provider.name} idle={len(self._idle)}{' closed' if self._closed else ''}>"

    async def open(self, request: UpstreamRequest) -> Reply:
        """Send `request` and return its answer once that has begun.

        Raises the WireErrors of `probes.calls`, all but CutShort, which only reading the answer can find.
        """
        head = self._heads.write(request)
        connection = self._take()
        if connection is not None:
            try:
                await connection.exchange(head, request.body)
            except Disconnected:
                self._when_stale(self.provider.name)
            else:
                return Reply(connection, self._give_back, 0.0)
        started = monotonic()  # the loop's own time stands still within a turn
        connection = await self._connect()
        connect_s = monotonic() - started
        await connection.exchange(head, request.body)
        return Reply(connection, self._give_back, connect_s)

    def close(self) -> None:
        """Close what idles; exchanges under way finish, and close their connections after."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._idle):
            connection.abort()
        self._idle.clear()

    def lost(self, connection: Connection) -> None:
        """Forget a connection that ended."""
        self._live.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    async def _connect(self) -> Connection:
        with connecting(self._route.place, self.provider.timeouts.connect):
            connection = await dial(self._route, lambda: Connection(self._route.origin.place, self))
        if not connection.closed:  # counted only here: uvloop never reports the end of one that was cancelled before
            self._live.add(connection)
        return connection

    def _take(self) -> Connection | None:
        now = self._loop.time()
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and _until(connection) > now:
                return connection.serve()
            connection.abort()
        return None

    def _give_back(self, connection: Connection) -> None:
        patience = _patience(connection.answer.headers.get("keep-alive"))
        if self._closed or patience <= 0 or not connection.reusable:
            connection.abort()
            return
        connection.rest(self._loop.time() + patience)
        self._idle.append(connection)
        if len(self._idle) > MAX_IDLE:
            self._idle.pop(0).abort()
        if self._sweep is None:
            self._sweep = self._loop.call_later(_SWEEP_S, self._close_expired)

    def _close_expired(self) -> None:
        now = self._loop.time()
        for connection in [connection for connection in self._idle if _until(connection) <= now]:
            self._idle.remove(connection)
            connection.abort()
        self._sweep = self._loop.call_later(_SWEEP_S, self._close_expired) if self._idle else None


def _until(connection: Connection) -> float:
    return connection.idle_until or 0.0


def _patience(keep_alive: str | None) -> float:
    """Return for how many seconds a connection may idle, from its answer's `keep-alive` header."""
    if keep_alive is None:
        return IDLE_S
    for part in keep_alive.split(","):
        name, _, seconds = part.partition("=")
        if name.strip().lower() == "timeout" and seconds.strip().isdecimal():
            return min(IDLE_S, float(seconds) - _MARGIN_S)
    return IDLE_S
