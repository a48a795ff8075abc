"""The clients of the story: each request of the trace at its time, over the daemon's socket, timed to its end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec

from benchmarks.routing.arrivals import Request
from benchmarks.story.script import INDEX
from probes.calls import UpstreamReply, UpstreamRequest
from probes.policy import Dialect, Provider
from probes.wire import Wires
from state.errors import WireError

__all__ = ["Audience", "Heard"]

_PATH: Final = "/v1/chat/completions"
_JSON: Final = ("content-type", "application/json")
_DONE: Final = b"data: [DONE]"
_OK: Final = 200


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What one client got; times in seconds from when its request was due."""

    index: int
    late_s: float
    """Until it was really sent: the load generator's own delay, and part of the latency."""
    latency_s: float
    served: bool
    target: str | None = None
    attempts: int = 0
    hedged: str | None = None
    error: str = ""


class Audience:
    """Plays the arrivals at the daemon behind `socket`, from `begins_at` on the monotonic clock."""

    def __init__(self, socket: Path, begins_at: float) -> None:
        """Send nothing before `play`."""
        self._daemon = Provider(name="daemon", dialect=Dialect.OPENAI, base_url=f"unix://{socket}", models=())
        self._begins_at = begins_at
        self._wires = Wires()
        self._heard: list[Heard] = []

    async def play(self, requests: Sequence[Request], until_s: float) -> list[Heard]:
        """Return what was heard by `until_s` after the beginning; who is not there has heard nothing."""
        try:
            with anyio.move_on_after(self._begins_at + until_s - time.monotonic()):
                async with anyio.create_task_group() as tasks:
                    for request in requests:
                        tasks.start_soon(self._ask, request)
        finally:
            await self._wires.aclose()
        return self._heard

    async def _ask(self, request: Request) -> None:
        due = self._begins_at + request.at
        await anyio.sleep(max(0.0, due - time.monotonic()))
        late_s = time.monotonic() - due
        headers: dict[str, str] = {}
        error = ""
        try:
            reply = await self._wires.open(self._daemon, _asking(request))
            headers.update(reply.headers)
            error = await _problem(reply, request)
        except WireError as problem:
            error = f"{type(problem).__name__}: {problem}"
        heard = Heard(
            index=request.index,
            late_s=late_s,
            latency_s=time.monotonic() - due,
            served=not error,
            target=headers.get("fairlead-target"),
            attempts=int(headers.get("fairlead-attempts", "0")),
            hedged=headers.get("fairlead-hedged"),
            error=error,
        )
        self._heard.append(heard)


def _asking(request: Request) -> UpstreamRequest:
    body: dict[str, Any] = {"model": "story", "messages": [{"role": "user", "content": "What happens next?"}]}
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    if request.streamed:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    headers = (_JSON, (INDEX, str(request.index)))
    return UpstreamRequest(method="POST", path=_PATH, headers=headers, body=msgspec.json.encode(body))


async def _problem(reply: UpstreamReply, request: Request) -> str:
    """Read the answer to its end; return what is wrong with it, nothing where it is whole."""
    body = bytearray()
    try:
        while piece := await reply.read():
            body += piece
    finally:
        await reply.aclose()
    if reply.status != _OK:
        return f"{reply.status}: {body[:200].decode(errors='replace')}"
    return "the stream has no end" if request.streamed and _DONE not in body else ""
