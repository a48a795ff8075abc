"""The providers of the story on the wall clock: the simulator's own `Place` decides, real connections act it out.

`python -m benchmarks.story.cast --folder F --seconds N --seed S` serves each at `F/NAME.sock` until SIGTERM. The story
begins with the first attempt at any of them, as the simulator's begins with the first canaries. `GET /story` tells when
that was, and what was asked of a provider.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec
from aiohttp import web

from benchmarks.routing.arrivals import Request, requests
from benchmarks.routing.draws import key
from benchmarks.routing.engine import PROBES
from benchmarks.routing.trace import Trace
from benchmarks.routing.world import Attempt, Fate, Place
from benchmarks.story import lines
from benchmarks.story.script import INDEX, script

__all__ = ["Asked", "Cast", "Record", "main"]

_JSON: Final = {"content-type": "application/json"}


class Asked(msgspec.Struct, frozen=True):
    """One attempt as its provider saw it; times in seconds since the beginning."""

    index: int | None
    """Which request it was for; None for a canary."""
    at: float
    kind: str | None
    ends_s: float
    """How long it was to take from when it was served."""
    late_s: float | None
    """How much longer the provider itself took over it; None where it was given up before its end."""


class Record(msgspec.Struct, frozen=True):
    """What one provider tells of the story."""

    begins_at: float | None
    """On the monotonic clock; None where nobody has been asked anything."""
    asked: list[Asked]
    """Attempts in order of their end."""


class Cast:
    """The providers of one trace, all in this process."""

    def __init__(self, trace: Trace, seed: int) -> None:
        """Draw the requests, whose lengths the providers know."""
        self._seed = seed
        self._requests = requests(trace, seed)
        self.begins_at: float | None = None
        """When the first attempt came, on the monotonic clock; None before it."""
        self._tries: Counter[tuple[int, int]] = Counter()
        self.players = [Player(self, place, Place(provider)) for place, provider in enumerate(trace.providers)]

    @property
    def now(self) -> float:
        """Seconds since the first attempt, which asks for it."""
        if self.begins_at is None:
            self.begins_at = time.monotonic()
        return time.monotonic() - self.begins_at

    def attempt(self, place: int, said: str | None) -> Attempt:
        """Return the attempt of the request that a client's header names, or of a canary, with the simulator's luck."""
        request: Request | None = None if said is None else self._requests[int(said)]
        index = PROBES if request is None else request.index
        tried = self._tries[index, place]
        self._tries[index, place] += 1
        return Attempt(request, place, tried + 1, key(self._seed, index, place, tried))


class Player:
    """One provider, and its way of speaking: OpenAI's chat, streamed and whole."""

    def __init__(self, cast: Cast, number: int, place: Place) -> None:
        """Play `place`, the provider in that position of the trace."""
        self.name = place.provider.name
        self._cast = cast
        self._number = number
        self._place = place
        self._asked: list[Asked] = []

    async def serve(self, path: Path, stack: AsyncExitStack) -> None:
        """Serve at the Unix socket `path` until `stack` is closed."""
        server = web.Server(self._answer, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.UnixSite(runner, str(path)).start()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        match request.method, request.path:
            case "POST", "/v1/chat/completions":
                return await self._play(request, msgspec.json.decode(body))
            case "GET", "/story":
                record = Record(begins_at=self._cast.begins_at, asked=self._asked)
                return web.Response(body=msgspec.json.encode(record), headers=_JSON)
            case _:
                return web.Response(status=404)

    async def _play(self, request: web.BaseRequest, said: dict[str, Any]) -> web.StreamResponse:
        """Meet the attempt's fate, and note what it was."""
        attempt = self._cast.attempt(self._number, request.headers.get(INDEX))
        attempt.started_at = began = self._cast.now
        started, fate, late_s = time.monotonic(), None, None
        try:
            fate = self._place.turned_away(attempt, began)
            if fate is None:
                await self._line(attempt)
                started, fate = time.monotonic(), attempt.fate
            if fate is None or fate.kind is None:
                await anyio.sleep_forever()
                raise AssertionError
            response = await self._act(request, attempt, fate, _Pace(started, bool(said.get("stream"))))
            late_s = time.monotonic() - started - fate.ends_s
            return response
        finally:
            self._leave(attempt)
            index = attempt.request.index if attempt.request else None
            ends_s, kind = (fate.ends_s, fate.kind) if fate else (0.0, None)
            self._asked.append(Asked(index, began, kind, ends_s, late_s))

    async def _line(self, attempt: Attempt) -> None:
        """Wait for a slot, where there is a limit on them, and be served."""
        turn = anyio.Event()

        def serve() -> None:
            self._place.serve(attempt, self._cast.now)
            turn.set()

        if self._place.full():
            attempt.on_served = serve
            self._place.waiting.append(attempt)
        else:
            serve()
        await turn.wait()

    def _leave(self, attempt: Attempt) -> None:
        self._place.leave(attempt, self._cast.now)
        while self._place.waiting and not self._place.full():
            following = self._place.waiting.popleft().on_served
            if following:
                following()

    async def _act(self, request: web.BaseRequest, attempt: Attempt, fate: Fate, pace: _Pace) -> web.StreamResponse:
        if fate.first_s is None or not pace.streamed:
            await pace.until(fate.ends_s)
        if fate.kind == "refused":
            return _dropped(request)
        if fate.first_s is None:
            return self._refusal(fate)
        if not pace.streamed:
            return (
                _dropped(request)
                if fate.kind == "cut"
                else web.Response(body=lines.whole(attempt, fate), headers=_JSON | self._limits())
            )
        return await self._stream(request, attempt, fate, pace)

    def _refusal(self, fate: Fate) -> web.Response:
        headers = _JSON | self._limits()
        if fate.kind == "rate_limited" and self._place.provider.headers:
            headers["retry-after"] = str(math.ceil(self._place.quota.reset_s(self._cast.now)))
        return web.Response(status=fate.status or 500, body=lines.error(fate), headers=headers)

    async def _stream(self, request: web.BaseRequest, attempt: Attempt, fate: Fate, pace: _Pace) -> web.StreamResponse:
        await pace.until(fate.first_s or 0.0)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"} | self._limits())
        await response.prepare(request)
        for due_s, event in lines.events(fate):
            await pace.until(due_s)
            await response.write(event)
        await pace.until(fate.ends_s)
        if fate.kind == "cut":
            return _dropped(request, response)
        await response.write(lines.ending(attempt, fate))
        return response

    def _limits(self) -> dict[str, str]:
        """Return what the provider tells of its limit, as of now, when the answer's head is sent."""
        quota, now = self._place.quota, self._cast.now
        if not (self._place.provider.headers and quota.limited):
            return {}
        left, reset_s = quota.remaining(now), quota.reset_s(now)
        return {"x-ratelimit-remaining-requests": str(left), "x-ratelimit-reset-requests": f"{reset_s:.3f}s"}


class _Pace:
    """When an attempt was served, and whether its client wants a stream."""

    def __init__(self, started: float, streamed: bool) -> None:  # noqa: FBT001 - what the request says
        self.streamed = streamed
        self._started = started

    async def until(self, due_s: float) -> None:
        """Wait until `due_s` seconds after it was served: delays never add up."""
        await anyio.sleep(max(0.0, self._started + due_s - time.monotonic()))


def _dropped(request: web.BaseRequest, response: web.StreamResponse | None = None) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return response or web.Response()


async def _serve(options: argparse.Namespace) -> None:
    cast = Cast(script(options.seconds), options.seed)
    async with AsyncExitStack() as stack:
        for player in cast.players:
            await player.serve(options.folder / f"{player.name}.sock", stack)
        print("listening", flush=True)
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                return


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.story.cast", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    anyio.run(_serve, parser.parse_args(), backend_options={"use_uvloop": True})
    return 0


if __name__ == "__main__":
    sys.exit(main())
