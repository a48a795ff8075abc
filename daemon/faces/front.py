"""The front door: which face answers a request, and who is let in at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import structlog
from aiohttp import web

from daemon.access.gate import Gate
from daemon.access.visitors import VISITOR, Visitor
from daemon.control.face import ControlFace
from daemon.faces.client import REQUEST_ID, ClientFace
from daemon.faces.refusals import Refusal, RefusalKind, problem_body, refusal_body, refusal_headers
from daemon.faces.telling import say_refused
from daemon.faces.vitals import Vitals
from daemon.relay.request_ids import new_request_id
from probes.policy import Dialect
from probes.surfaces import Surface

__all__ = ["Front"]

_log = structlog.get_logger("fairlead.server")
_SURFACES = {surface.value: surface for surface in Surface}
_Admit = Callable[[web.BaseRequest], Awaitable[Visitor | Refusal]]


class Front:
    """Hands each request to its face, and knows how many are under way."""

    def __init__(
        self, gate: Gate, client: ClientFace, control: ControlFace, vitals: Vitals, stopping: anyio.Event
    ) -> None:
        """Open towards three faces behind `gate`; `stopping` is set once no request is to stay."""
        self._gate = gate
        self._stopping = stopping
        self._client = client
        self._control = control
        self._vitals = vitals
        self._under_way = 0
        self._closing = False
        self._emptied = anyio.Event()

    async def by_socket(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request that came over the Unix socket."""
        return await self._counted(request, self._gate.by_socket)

    async def by_network(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request that came over TCP, unless a web page could have sent it."""
        return await self._counted(request, self._gate.by_network)

    def mishap(self, request: web.BaseRequest, error: BaseException | None) -> web.Response:
        """Answer a request that met a mistake of ours, which goes into the log as a whole."""
        request_id = request[REQUEST_ID] = request.get(REQUEST_ID) or new_request_id()
        _log.error("request_failed", request_id=request_id, path=request.path, exc_info=error)
        message = f"fairlead itself failed at this request. Its log tells more under {request_id}; please report it."
        return _refuse(request, Refusal(kind=RefusalKind.INTERNAL, message=message))

    @property
    def under_way(self) -> int:
        """How many requests are."""
        return self._under_way

    async def empty(self) -> None:
        """Close every connection after its answer from now on, and wait until no request is under way."""
        self._closing = True
        self._stopping.set()
        if self._under_way:
            await self._emptied.wait()

    async def _counted(self, request: web.BaseRequest, admit: _Admit) -> web.StreamResponse:
        self._under_way += 1
        try:
            response = await self._answered(request, admit)
            if self._closing and not response.prepared:
                response.force_close()
            return response
        finally:
            self._under_way -= 1
            if self._closing and not self._under_way:
                self._emptied.set()

    async def _answered(self, request: web.BaseRequest, admit: _Admit) -> web.StreamResponse:
        visitor = await admit(request)
        if isinstance(visitor, Refusal):
            return _refuse(request, visitor)
        request[VISITOR] = visitor
        return await self._face(request)(request)

    def _face(self, request: web.BaseRequest) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
        path = request.path
        if (surface := _SURFACES.get(path)) is not None and request.method == "POST":
            return lambda request: self._client.relay(request, surface)
        if path.startswith("/fairlead/v1/"):
            return self._control.answer
        if request.method in {"GET", "HEAD"}:
            if path == "/v1/models" or path.startswith("/v1/models/"):
                return self._client.models
            if (vital := self._vitals.at(path)) is not None:
                return vital
        return _nothing_here


async def _nothing_here(request: web.BaseRequest) -> web.StreamResponse:
    if request.path in _SURFACES:
        return _refuse(request, Refusal(kind=RefusalKind.METHOD, message=f"{request.path} takes POST."))
    message = (
        f"There is no {request.method} {request.path}. Clients use POST {', '.join(_SURFACES)} and GET /v1/models; "
        "GET /healthz, /readyz, /metrics and /fairlead/v1/status tell of the daemon."
    )
    return _refuse(request, Refusal(kind=RefusalKind.NOT_FOUND, message=message))


def _refuse(request: web.BaseRequest, refusal: Refusal) -> web.Response:
    say_refused(refusal, request.get(REQUEST_ID))
    if not request.path.startswith("/v1/"):
        headers = {"content-type": "application/problem+json"} | refusal_headers(refusal)
        return web.Response(status=refusal.status, headers=headers, body=problem_body(refusal))
    anthropic = request.path.startswith("/v1/messages") or "anthropic-version" in request.headers
    request_id = request.get(REQUEST_ID) or new_request_id()
    body = refusal_body(refusal, Dialect.ANTHROPIC if anthropic else Dialect.OPENAI, request_id)
    headers = {"x-request-id": request_id, "content-type": "application/json"} | refusal_headers(refusal)
    if anthropic:
        headers["request-id"] = request_id
    return web.Response(status=refusal.status, headers=headers, body=body)
