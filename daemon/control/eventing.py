"""`GET /fairlead/v1/events`: what happens, as server-sent events, read from the history as it is written."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.to_thread
import msgspec
from aiohttp import ClientConnectionResetError, web

from daemon.control.operating import Tail, problem
from daemon.faces.refusals import RefusalKind
from state.durations import parse_duration
from state.errors import HistoryError
from state.history.following import MOST_AT_ONCE, Event, Point, events_after, newest_point, parse_point, point_at

__all__ = ["Eventing"]

T = TypeVar("T")
_POLL_S: Final = 0.25
"""How often the history is asked; a row is in it after 0.15 s at most."""
_QUIET_S: Final = 15.0
"""After so long without an event a comment says that the connection lives."""
_MOST_READERS: Final = 64
_LAST_WORDS_S: Final = 1.0
"""How long a client that does not read may hold up the end of the daemon."""


class Eventing:
    """Streams events to those who ask."""

    def __init__(self, tail: Tail) -> None:
        """Follow `tail`."""
        self._tail = tail
        self._readers = 0

    async def stream(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer with a stream that goes on until either side leaves. Raises Problem where it cannot begin.

        `Last-Event-ID` goes on after that event, `?since=10m` begins there, `?follow=0` ends with what there is.
        """
        point = await self._beginning(request)
        if self._readers >= _MOST_READERS:
            raise problem(RefusalKind.QUEUE_FULL, f"{_MOST_READERS} clients follow the events already.")
        self._readers += 1
        try:
            return await self._follow(request, point)
        finally:
            self._readers -= 1

    async def _beginning(self, request: web.BaseRequest) -> Point:
        last, since = request.headers.get("last-event-id"), request.rel_url.query.get("since")
        try:
            if last:
                return parse_point(last)
            if since:
                begins = max(0.0, self._tail.wall() - parse_duration(since))
                return await self._read(functools.partial(point_at, unix_ms=round(begins * 1000)))
            return await self._read(newest_point)
        except ValueError as error:
            raise problem(RefusalKind.INVALID_REQUEST, f"{error}.") from error
        except HistoryError as error:
            raise problem(RefusalKind.HISTORY, f"Events come from the history, and {error}.") from error

    async def _follow(self, request: web.BaseRequest, point: Point) -> web.StreamResponse:
        headers = {"content-type": "text/event-stream", "cache-control": "no-store"}
        response = web.StreamResponse(headers=headers)
        follow = request.rel_url.query.get("follow", "1") not in {"0", "false", "no"}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._leave_at_the_end, tasks.cancel_scope)
            with contextlib.suppress(ConnectionError, ClientConnectionResetError):
                await response.prepare(request)
                await response.write(f": fairlead's events\nid: {point}\n\n".encode())
                await self._tell(response, point, _POLL_S if follow else None)
            tasks.cancel_scope.cancel()
        return response

    async def _leave_at_the_end(self, scope: anyio.CancelScope) -> None:
        """Give up on a client that does not read once the daemon ends: it would hold up the end for all its grace."""
        await self._tail.stopping.wait()
        await anyio.sleep(_LAST_WORDS_S)
        scope.cancel()

    async def _tell(self, response: web.StreamResponse, point: Point, every_s: float | None) -> None:
        quiet_s = 0.0
        while True:
            events = await self._events(point)
            if events:
                await response.write(b"".join(map(_encoded, events)))
                point, quiet_s = events[-1].after, 0.0
            if len(events) == MOST_AT_ONCE:
                continue
            if every_s is None or self._tail.stopping.is_set():
                return
            if quiet_s >= _QUIET_S:
                await response.write(b": quiet\n\n")
                quiet_s = 0.0
            with anyio.move_on_after(every_s):
                await self._tail.stopping.wait()
            quiet_s += every_s

    async def _events(self, point: Point) -> list[Event]:
        """Return what came since; nothing while the history cannot be read: it is healed by its recorder."""
        try:
            return await self._read(functools.partial(events_after, point=point))
        except HistoryError:
            return []

    async def _read(self, question: Callable[[Path], T]) -> T:
        return await anyio.to_thread.run_sync(question, self._tail.path())


def _encoded(event: Event) -> bytes:
    data = msgspec.json.encode({key: value for key, value in event.row.items() if key not in {"id", "at_ms"}})
    return f"id: {event.after}\nevent: {event.kind}\ndata: ".encode() + data + b"\n\n"
