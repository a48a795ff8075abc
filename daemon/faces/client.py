"""The client face: the paths that OpenAI's and Anthropic's SDKs call."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping

from aiohttp import ClientConnectionResetError, ClientPayloadError, web

from daemon.access.visitors import VISITOR, asker_of, caller_of
from daemon.degraded.keys import Asker
from daemon.faces.patience import said_by_sdk
from daemon.faces.refusals import Refusal, RefusalKind, refusal_body, refusal_headers
from daemon.faces.telling import say_refused
from daemon.in_force import InForce
from daemon.relay.calls import ClientCall, ClientLeft
from daemon.relay.envelope import EnvelopeProblem, read_envelope
from daemon.relay.gear import Surroundings
from daemon.relay.request_ids import new_request_id
from daemon.relay.serving import served
from daemon.routing.naming import UnknownModel, known_names, resolve
from probes.dialects.shapes import ModelEntry, models_body
from probes.policy import Dialect
from probes.surfaces import Surface
from state.history.charges import Charged

__all__ = ["REQUEST_ID", "ClientFace"]

REQUEST_ID = web.RequestKey("request_id", str)
"""Under which a request carries its id, for whoever must answer it after all."""

_OWN_HEADERS = frozenset({"content-encoding"})
"""The server has already undone a request's compression."""
_MILLISECONDS = re.compile(r"[1-9][0-9]{0,11}")
_YES = frozenset({"1", "true", "yes"})


class ClientFace:
    """Turns HTTP requests under `/v1` into sessions, and their results into HTTP responses."""

    def __init__(self, in_force: InForce, around: Callable[[], Surroundings], clock: Callable[[], float]) -> None:
        """Serve the configuration in force with the surroundings of the moment."""
        self._in_force = in_force
        self._around = around
        self._clock = clock

    async def relay(self, request: web.BaseRequest, surface: Surface) -> web.StreamResponse:
        """Answer one request to `surface`."""
        arrived_at = self._clock()
        request_id = request[REQUEST_ID] = new_request_id()
        body = await self._body(request)
        call = body if isinstance(body, Refusal) else self._call(request, surface, body, (request_id, arrived_at))
        if isinstance(call, Refusal):
            return _refused(call, surface.dialect, request_id)
        client = _HttpClient(request)
        try:
            answer = await served(call, client, self._around())
        except ClientLeft:
            return client.response or web.Response(status=499)
        if answer is None:
            return client.response or web.Response(status=500)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def models(self, request: web.BaseRequest) -> web.StreamResponse:
        """List what a client may ask for: workloads first, then targets."""
        dialect = Dialect.ANTHROPIC if "anthropic-version" in request.headers else Dialect.OPENAI
        names = known_names(self._in_force.routes)
        wanted = request.path.removeprefix("/v1/models").strip("/")
        if wanted and wanted not in names:
            refusal = _unknown(UnknownModel(name=wanted, nearest=()), RefusalKind.MODEL_UNKNOWN)
            return _refused(refusal, dialect, new_request_id())
        entries = [ModelEntry(id=name) for name in names]
        return web.Response(body=models_body(dialect, entries), content_type="application/json")

    async def _body(self, request: web.BaseRequest) -> bytes | Refusal:
        most = self._in_force.configuration.daemon.doors.max_body
        if (request.content_length or 0) > most:
            return _too_large(most)
        if request.headers.get("expect", "").lower() == "100-continue":
            with contextlib.suppress(ConnectionError, ClientConnectionResetError):  # who has left sends no body either
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _too_large(most)
        except (web.RequestPayloadError, ClientPayloadError) as error:
            return Refusal(kind=RefusalKind.INVALID_BODY, message=f"The request's body cannot be read: {error}.")

    def _call(
        self, request: web.BaseRequest, surface: Surface, body: bytes, arrival: tuple[str, float]
    ) -> ClientCall | Refusal:
        envelope = read_envelope(body)
        if isinstance(envelope, EnvelopeProblem):
            return Refusal(kind=RefusalKind.INVALID_BODY, message=envelope.message)
        headers = request.headers
        caller = caller_of(request[VISITOR], headers)
        if isinstance(caller, Refusal):
            return caller
        wanted = headers.get("fairlead-workload")
        workload = resolve(wanted or envelope.model, self._in_force.routes)
        if isinstance(workload, UnknownModel):
            return _unknown(workload, RefusalKind.WORKLOAD_UNKNOWN if wanted else RefusalKind.MODEL_UNKNOWN)
        deadline = _deadline(headers.get("fairlead-deadline-ms"), arrival[1])
        if isinstance(deadline, Refusal):
            return deadline
        streamed = bool(envelope.stream) and surface.streams
        sdk = said_by_sdk(headers)
        return ClientCall(
            request_id=arrival[0],
            surface=surface,
            workload=workload,
            model=envelope.model,
            streamed=streamed,
            headers=tuple((name.lower(), value) for name, value in headers.items() if name.lower() not in _OWN_HEADERS),
            query=request.rel_url.raw_query_string,
            body=body,
            arrived_at=arrival[1],
            deadline=deadline,
            fallback_allowed=headers.get("fairlead-no-fallback", "").lower() not in _YES,
            choosy=self._in_force.routes.choosy(workload, len(body)),
            patience_s=sdk.read_s if streamed else min(sdk.read_s, sdk.whole_s),
            client_retry=sdk.retry,
            max_tokens=envelope.limit,
            answers=envelope.answers,
            caller=caller,
            charged=Charged(workload.name, caller.team, caller.user),
            asker=asker_of(caller, headers) if workload.degraded.mode == "cache" else Asker(),
        )


class _HttpClient:
    """The way back to one client, over the server's response."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self.response: web.StreamResponse | None = None

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        self.response = web.StreamResponse(status=status, headers=headers)
        try:
            await self.response.prepare(self._request)
        except (ConnectionError, ClientConnectionResetError) as error:
            raise ClientLeft from error

    async def write(self, piece: bytes) -> None:
        if self.response is None:
            raise ClientLeft
        try:
            await self.response.write(piece)
        except (ConnectionError, ClientConnectionResetError) as error:
            raise ClientLeft from error


def _deadline(text: str | None, arrived_at: float) -> float | Refusal:
    if text is None:
        return float("inf")
    if not _MILLISECONDS.fullmatch(text):
        return Refusal(
            kind=RefusalKind.INVALID_REQUEST,
            message=f"fairlead-deadline-ms is {text!r}; give whole milliseconds above 0, such as 30000.",
        )
    return arrived_at + int(text) / 1e3


def _refused(refusal: Refusal, dialect: Dialect, request_id: str) -> web.Response:
    say_refused(refusal, request_id)
    headers = {"x-request-id": request_id, "content-type": "application/json"} | refusal_headers(refusal)
    if dialect is Dialect.ANTHROPIC:
        headers["request-id"] = request_id
    return web.Response(status=refusal.status, headers=headers, body=refusal_body(refusal, dialect, request_id))


def _too_large(most: int) -> Refusal:
    return Refusal(
        kind=RefusalKind.BODY_TOO_LARGE,
        message=f"The request's body is larger than {most // 1024} KiB; send less, or raise daemon.max_body.",
    )


def _unknown(model: UnknownModel, kind: RefusalKind) -> Refusal:
    what = "workload" if kind is RefusalKind.WORKLOAD_UNKNOWN else "model"
    near = f" Did you mean {' or '.join(model.nearest)}?" if model.nearest else ""
    return Refusal(kind=kind, message=f"No {what} is called {model.name!r}.{near} GET /v1/models lists what there is.")
