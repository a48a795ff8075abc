"""How connections are served: aiohttp's server over our listeners, with our own last word on what goes wrong."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable
from socket import socket as Socket  # noqa: N812 - a class by a class's name
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from daemon.doors.listening import Listeners
from daemon.doors.sockets import BACKLOG
from daemon.faces.front import Front

__all__ = ["Servers"]

_KEEPALIVE_S = 75.0
"""nginx's default: longer than any SDK keeps an idle connection."""
_BROKEN = 500
_CLIENTS_OWN = (HttpProcessingError, web.RequestPayloadError)
_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _NotTheClients(logging.Filter):
    """Keeps back what clients did wrong: they are answered 400, and what they sent belongs into no log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let through all but malformed HTTP."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, _CLIENTS_OWN)


def _bugs_only() -> logging.Logger:
    logger = logging.getLogger("fairlead.server")
    if not logger.filters:
        logger.addFilter(_NotTheClients())
    return logger


_Mishap = Callable[[web.BaseRequest, BaseException | None], web.StreamResponse]


class _Server(web.Server):
    """The server, whose last word on a request that raised is the front's."""

    def __init__(self, handler: _Handler, *, mishap: _Mishap, **settings: Any) -> None:
        super().__init__(handler, **settings)
        self._mishap = mishap

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self._mishap, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    __slots__ = ("_mishap",)

    def __init__(self, server: _Server, mishap: _Mishap, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._mishap = mishap

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = _BROKEN,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what raised: here ends every mistake of ours, and no other place swallows one."""
        if status < _BROKEN or isinstance(exc, _CLIENTS_OWN):
            return super().handle_error(request, status, exc, message)
        response = self._mishap(request, exc or sys.exception())
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        response.force_close()
        return response


class Servers:
    """Serves a front over listeners."""

    def __init__(self, listeners: Listeners, front: Front, max_body: int) -> None:
        """Serve `front`; a request's body has at most `max_body` bytes."""
        self._listeners = listeners
        self._front = front
        self._max_body = max_body
        self._runners: list[web.ServerRunner] = []
        self._sites: list[web.SockSite] = []

    async def open(self) -> None:
        """Answer from now on."""
        await self._serve(self._front.local, self._listeners.unix)
        await self._serve(self._front.loopback, self._listeners.tcp)

    async def close_doors(self) -> None:
        """Take no new connections; those that are open go on."""
        for site in self._sites:
            await site.stop()
        self._listeners.remove_path()

    async def close(self) -> None:
        """Close what is still open."""
        for runner in self._runners:
            await runner.cleanup()

    async def _serve(self, handler: _Handler, sockets: tuple[Socket, ...]) -> None:
        server = _Server(
            handler,
            mishap=self._front.mishap,
            request_factory=self._request,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=_KEEPALIVE_S,
            logger=_bugs_only(),
        )
        runner = web.ServerRunner(server, shutdown_timeout=0.5)
        await runner.setup()
        self._runners.append(runner)
        for listener in sockets:
            site = web.SockSite(runner, listener, backlog=BACKLOG)
            await site.start()
            self._sites.append(site)

    def _request(self, *parts: Any) -> web.BaseRequest:
        """Make a request as the server would, with our own limit on its body; the parts are the server's affair."""
        make: Any = web.BaseRequest
        request: web.BaseRequest = make(*parts, parts[-1].get_loop(), client_max_size=self._max_body)
        return request
