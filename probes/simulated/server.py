"""The server of simulated models: it draws a plan for each request and acts it out on a real connection."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec
from aiohttp import web

from probes.simulated.behaviour import Behaviour, Mishap, Plan, draw
from probes.simulated.replies import Asked, Said, error_answer, events, whole
from probes.surfaces import Surface

__all__ = ["SimulatedServer"]

_SURFACES: Final = {surface.value: surface for surface in Surface}
_ERRORS: Final = {
    Mishap.SERVER_ERROR: (500, "server_error"),
    Mishap.OVERLOADED: (503, "overloaded_error"),
    Mishap.RATE_LIMITED: (429, "rate_limit_error"),
    Mishap.AUTH: (401, "authentication_error"),
}
_CONTROL: Final = "/simulated/models"
_MOST_BODY: Final = 64 * 1024 * 1024
_WORDS_BEFORE_A_CUT: Final = 3
_JSON: Final = {"content-type": "application/json"}


class SimulatedServer:
    """Serves several models at once, in both dialects; `PUT /simulated/models/NAME` changes one while it runs."""

    def __init__(self, models: Mapping[str, Behaviour], seed: int) -> None:
        """Give each model its behaviour; `seed` fixes the luck of all requests."""
        self._models = dict(models)
        self._luck = random.Random(seed)  # noqa: S311 - luck, not a secret
        self._counts: dict[str, Counter[str]] = {model: Counter() for model in models}
        self._serial = 0

    @asynccontextmanager
    async def at(self, path: Path) -> AsyncIterator[None]:
        """Serve at a Unix socket that only this user may open."""
        runner = await self._runner()
        try:
            await anyio.Path(path).unlink(missing_ok=True)
            await web.UnixSite(runner, str(path)).start()
            await anyio.Path(path).chmod(0o600)
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await runner.cleanup()
                await anyio.Path(path).unlink(missing_ok=True)

    @asynccontextmanager
    async def on(self, host: str, port: int) -> AsyncIterator[int]:
        """Serve at a TCP address; gives the port, which matters where `port` is 0."""
        runner = await self._runner()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    async def _runner(self) -> web.ServerRunner:
        server = web.Server(self._answer, handler_cancellation=True, access_log=None, request_factory=_request)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        return runner

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        surface = _SURFACES.get(request.path)
        if surface is not None and request.method == "POST":
            return await self._reply(request, surface)
        if request.path.startswith(_CONTROL):
            return await self._control(request)
        if request.path == "/v1/models":
            data = [{"id": model, "object": "model", "created": 0, "owned_by": "simulated"} for model in self._models]
            return _json(200, {"object": "list", "data": data, "has_more": False})
        return _json(404, {"error": {"message": "nothing here", "type": "not_found_error", "code": "404"}})

    async def _control(self, request: web.BaseRequest) -> web.StreamResponse:
        name = request.path.removeprefix(_CONTROL).strip("/")
        if request.method == "GET" and not name:
            return _json(200, {model: self._picture(model) for model in self._models})
        if name not in self._models or request.method != "PUT":
            return _json(404, {"error": f"PUT {_CONTROL}/NAME, where NAME is one of {', '.join(self._models)}"})
        try:
            changes = msgspec.json.decode(await request.read(), type=dict[str, msgspec.Raw])
            members = {**msgspec.json.decode(msgspec.json.encode(self._models[name]), type=dict[str, msgspec.Raw])}
            self._models[name] = msgspec.json.decode(msgspec.json.encode({**members, **changes}), type=Behaviour)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
            return _json(400, {"error": str(problem)})
        return _json(200, self._picture(name))

    def _picture(self, model: str) -> dict[str, object]:
        return {"behaviour": self._models[model], "requests": dict(self._counts[model])}

    async def _reply(self, request: web.BaseRequest, surface: Surface) -> web.StreamResponse:
        body = await request.read()
        try:
            asked = msgspec.json.decode(body, type=Asked)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
            return _error(surface, 400, "invalid_request_error", f"the body is not a request: {problem}")
        behaviour = self._models.get(asked.model)
        if behaviour is None:
            return _error(surface, 404, "not_found_error", f"no simulated model is called {asked.model!r}")
        counts = self._counts[asked.model]
        counts["received"] += 1
        said = self._said(asked, behaviour, len(body))
        try:
            response = await self._act(request, surface, said, draw(behaviour, self._luck))
        except anyio.get_cancelled_exc_class():
            counts["cancelled"] += 1
            raise
        counts["answered"] += 1
        return response

    def _said(self, asked: Asked, behaviour: Behaviour, size: int) -> Said:
        self._serial += 1
        opening = ("simulated ", "answer ", "from ", asked.model, ":")
        rest = tuple(f" word{number}" for number in range(behaviour.tokens))
        words = (opening + rest)[: behaviour.tokens]
        return Said(serial=self._serial, model=asked.model, words=words, prompt_tokens=max(1, size // 4), asked=asked)

    async def _act(self, request: web.BaseRequest, surface: Surface, said: Said, plan: Plan) -> web.StreamResponse:
        if plan.mishap is Mishap.HANG:
            await anyio.sleep_forever()
        if plan.mishap is Mishap.DROP:
            return _dropped(request)
        if plan.mishap in _ERRORS:
            status, kind = _ERRORS[plan.mishap]
            return _error(surface, status, kind, f"simulated {plan.mishap.value}")
        await anyio.sleep(plan.first_token_s)
        if plan.mishap is Mishap.EMPTY:
            return web.Response(headers=_JSON)
        if plan.mishap is Mishap.HTML:
            return web.Response(text="<html><body>A gateway's page</body></html>", content_type="text/html")
        if said.asked.stream and surface not in {Surface.EMBEDDINGS, Surface.COUNT_TOKENS}:
            return await self._stream(request, surface, said, plan)
        return await self._plain(request, surface, said, plan)

    async def _plain(self, request: web.BaseRequest, surface: Surface, said: Said, plan: Plan) -> web.StreamResponse:
        if plan.mishap is Mishap.STREAM_ERROR:
            return _error(surface, 500, "server_error", "simulated stream_error")
        body = whole(surface, said)
        await anyio.sleep(plan.token_s * plan.tokens)
        if plan.mishap is not Mishap.CUT:
            return web.Response(body=body, headers=_JSON)
        response = web.StreamResponse(headers={**_JSON, "content-length": str(len(body))})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        return _dropped(request, response)

    async def _stream(self, request: web.BaseRequest, surface: Surface, said: Said, plan: Plan) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream", "cache-control": "no-cache"})
        await response.prepare(request)
        try:
            for number, event in enumerate(events(surface, said)):
                if number == _WORDS_BEFORE_A_CUT and plan.mishap is Mishap.CUT:
                    return _dropped(request, response)
                if number == _WORDS_BEFORE_A_CUT and plan.mishap is Mishap.STREAM_ERROR:
                    failure = error_answer(surface, 500, "server_error", "simulated stream_error")
                    await response.write(b"event: error\ndata: " + failure + b"\n\n")
                    return response
                await response.write(event)
                await anyio.sleep(plan.token_s)
        except ConnectionError:
            self._counts[said.model]["cancelled"] += 1
        return response


def _request(*parts: Any) -> web.BaseRequest:
    make: Any = web.BaseRequest
    request: web.BaseRequest = make(*parts, parts[-1].get_loop(), client_max_size=_MOST_BODY)
    return request


def _json(status: int, value: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), headers=_JSON)


def _error(surface: Surface, status: int, kind: str, message: str) -> web.Response:
    headers = {**_JSON, "retry-after": "1"} if status == 429 else _JSON  # noqa: PLR2004
    return web.Response(status=status, body=error_answer(surface, status, kind, message), headers=headers)


def _dropped(request: web.BaseRequest, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """Close the connection as a dying server does: at once, whatever was promised."""
    if request.transport is not None:
        request.transport.abort()
    return response or web.Response()
