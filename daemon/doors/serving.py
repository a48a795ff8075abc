"""How connections are served: aiohttp's server over our listeners, each connection within the doorkeeper's bounds."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from socket import socket as Socket  # noqa: N812 - a class by a class's name
from typing import Any, cast

import anyio
from aiohttp import HttpVersion11, web
from yarl import URL

from daemon.access.gate import ENTRANCE
from daemon.doors.connection import CLIENTS_OWN, Connection, Mishap, malformed
from daemon.doors.guard.answers import response_of
from daemon.doors.guard.framing import framing_problem
from daemon.doors.guard.policy import DoorPolicy, Reason
from daemon.doors.keeper import Counts, Doorkeeper
from daemon.doors.line import Line
from daemon.doors.listening import Listeners
from daemon.doors.request import Request
from daemon.doors.sockets import BACKLOG
from daemon.faces.front import Front

__all__ = ["Servers"]

_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _NotTheClients(logging.Filter):
    """Keeps back what clients did wrong: they are answered 400, and what they sent belongs into no log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let through all but malformed HTTP."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, CLIENTS_OWN)


def _bugs_only() -> logging.Logger:
    logger = logging.getLogger("fairlead.server")
    if not logger.filters:
        logger.addFilter(_NotTheClients())
    return logger


class _Server(web.Server):
    """The server, whose connections begin as lines."""

    def __init__(self, handler: _Handler, keeper: Doorkeeper, mishap: Mishap, **settings: Any) -> None:
        super().__init__(handler, handler_cancellation=True, **settings)
        self._keeper = keeper
        self._mishap = mishap
        self._settings = {
            "loop": self._loop,
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": float(keeper.policy.idle_timeout),
            "logger": _bugs_only(),
        }

    def __call__(self) -> Any:
        return Line(self._keeper, self._connection)

    def _connection(self, line: Line) -> Connection:
        return Connection(self, self._mishap, line, **self._settings)


class Servers:
    """Serves a front over listeners."""

    def __init__(self, listeners: Listeners, front: Front, policy: DoorPolicy, counts: Counts) -> None:
        """Serve `front` within `policy`; who is refused is counted at `counts`."""
        self._listeners = listeners
        self._front = front
        self.keeper = Doorkeeper(policy, anyio.current_time, counts)
        self._runners: list[web.ServerRunner] = []
        self._sites: list[web.SockSite] = []

    async def open(self) -> None:
        """Answer from now on."""
        await self._serve(self._front.by_socket, self._listeners.unix)
        await self._serve(self._front.by_network, self._listeners.tcp)

    async def close_doors(self) -> None:
        """Take no new connections; those that are open go on."""
        self.keeper.hurry()
        for site in self._sites:
            await site.stop()
        self._listeners.remove_path()

    async def close(self) -> None:
        """Close what is still open."""
        for runner in self._runners:
            await runner.cleanup()
        self.keeper.close()

    async def _serve(self, handler: _Handler, sockets: tuple[Socket, ...]) -> None:
        server = _Server(self._trusted(handler), self.keeper, self._front.mishap, request_factory=self._request)
        runner = web.ServerRunner(server, shutdown_timeout=0.5)
        await runner.setup()
        self._runners.append(runner)
        for listener in sockets:
            site = web.SockSite(runner, listener, backlog=BACKLOG)
            await site.start()
            self._sites.append(site)

    def _trusted(self, handler: _Handler) -> _Handler:
        """Return `handler` for requests of which it is certain where they end; the others end their connection."""

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            message = request._message  # noqa: SLF001 - parsed already; the request's own properties parse again
            problem = framing_problem(message.version, message.path, message.headers)
            if problem is not None:
                cast("Connection", request.protocol).stop_reading()
                request._version = HttpVersion11  # noqa: SLF001 - the answer's, whatever the client believes to speak
                self.keeper.count(Reason.MALFORMED)
                return response_of(malformed(problem))
            if message.upgrade:  # which is never granted; what follows might be meant for another protocol
                cast("Connection", request.protocol).end_after_this()
            return await handler(request)

        return answer

    def _request(self, *parts: Any) -> web.BaseRequest:
        """Make a request as the server would; the parts are the server's affair."""
        make: Any = Request
        message, _, connection, *_ = parts
        if message.path is None:  # `CONNECT` alone, which the server itself would stumble over, and never answer
            message = message._replace(path="", url=URL("/"))
        most = self.keeper.policy.max_body
        request: Request = make(message, *parts[1:], parts[-1].get_loop(), client_max_size=most)
        request[ENTRANCE] = connection.entrance
        return request
