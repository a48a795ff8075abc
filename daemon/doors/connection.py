"""A connection that speaks: aiohttp's handler, with our bounds, and our last word on what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import anyio
from aiohttp import web
from aiohttp.http import HttpProcessingError, RawRequestMessage
from aiohttp.http_exceptions import LineTooLong

from daemon.access.peers import Entrance
from daemon.doors.guard.answers import large_head, raised, response_of, spoken
from daemon.doors.guard.framing import is_wasteful
from daemon.doors.guard.patience import Pace, Terms, keep_pace
from daemon.doors.guard.policy import Reason
from daemon.doors.guard.turns import FULL_READ
from daemon.doors.line import Line
from daemon.faces.refusals import Refusal, RefusalKind

__all__ = ["CLIENTS_OWN", "Connection", "Mishap"]

Mishap = Callable[[web.BaseRequest, BaseException | None], web.StreamResponse]
CLIENTS_OWN: Final = (HttpProcessingError, web.RequestPayloadError)
"""What a client did wrong."""
_BROKEN: Final = 500
_MANY_HEADERS: Final = "Too many headers received"


class Connection(web.RequestHandler):
    """One client's requests, one after the other."""

    __slots__ = ("_body", "_ending", "_head", "_head_since", "_held", "_last", "_line", "_mishap", "_pace")

    def __init__(self, server: web.Server, mishap: Mishap, line: Line, **settings: Any) -> None:
        super().__init__(server, lingering_time=0, **settings)
        self._mishap = mishap
        self._line = line
        self._head = 0
        self._head_since: float | None = None
        self._body = 0
        self._pace: Pace | None = None
        self._held = 0
        self._last = False
        """Whether no request follows the one under way."""
        self._ending = False
        """Whether nothing is read any more."""

    @property
    def entrance(self) -> Entrance:
        """By which way it came in."""
        return self._line.entrance

    @property
    def idle_since(self) -> float | None:
        """Since when it has had no request under way; None while it has one."""
        if not self._idle:
            return None
        return self._next_keepalive_close_time - self._keepalive_timeout

    @property
    def held_back(self) -> bool:
        """Whether it has enough to read for now; the server then reads on by itself."""
        return self.transport is not None and (self._reading_paused or self._buffer_paused)

    @property
    def _idle(self) -> bool:
        return not self._request_count or (self._waiter is not None and not self._waiter.done())

    def data_received(self, data: bytes) -> None:
        """Parse what came, and count what is not a whole head yet."""
        if len(data) >= FULL_READ:
            self._line.breathe()
        if self._ending:
            self._line.swallow(len(data))
            return
        before = self._request_count
        super().data_received(data)
        if self._request_count == before:
            self._weigh(len(data))
        else:
            self._head_since, self._head = None, 0
            if type(self._messages[-1][0]) is not RawRequestMessage:
                self._break_off()

    def _weigh(self, size: int) -> None:
        """Note a piece of a head, or of a body, and refuse what is too large for what it carries."""
        if self._idle:
            self._head += size
            self._head_since = self._head_since or self._line.keeper.clock()
            if self._head > self._line.keeper.policy.max_head:
                self._give_up(Reason.LARGE_HEAD, large_head())
            return
        self._body += size
        request = self._current_request
        if request is not None and is_wasteful(self._body, request.content.total_bytes):
            self._line.keeper.count(Reason.MALFORMED)
            self._line.abort()

    def _break_off(self) -> None:
        """Read nothing more behind a mistake, and tell a request that waits for its body if it is in that.

        The server would only queue an answer, and make up an error with all that came for each piece that follows.
        """
        self._ending = True
        request = self._current_request
        if request is not None and not request.content.is_eof():
            self._line.keeper.count(Reason.MALFORMED)
            self._messages.clear()
            request.content.set_exception(web.RequestPayloadError("its chunks are malformed"))

    @property
    def is_kept(self) -> bool:
        """Whether another request may follow."""
        return not self._line.keeper.ending

    def end_after_this(self) -> None:
        """Take no request after the one under way."""
        self._last = True

    def stop_reading(self) -> None:
        """Read nothing more, and take no request after the one under way."""
        self._ending = True

    @property
    def unpacking(self) -> anyio.CapacityLimiter:
        """Whose turn it is to unpack a large body."""
        return self._line.keeper.unpacking

    def hold(self, size: int) -> None:
        """Hold `size` bytes more of a body. Raises what the server answers where there is no room."""
        if not self._line.keeper.larder.take(self._line.peer, size):
            self._line.keeper.count(Reason.BUFFERS_FULL)
            raise raised(_buffers_full())
        self._held += size

    def tend(self, now: float) -> int:
        """End it where patience is over; return how many bytes of an answer wait for its client to read."""
        if self._paused:
            return self._tend_answer(now)
        request = self._current_request
        if request is not None and not request.content.is_eof() and not self._reading_paused:
            self._tend_body(request, now)
        else:
            self._pace = None
            late = self._head_since is not None and now - self._head_since > self._line.keeper.policy.header_timeout
            if late and self._idle:
                self._give_up(Reason.SLOW_HEAD, _slow("its headers were not complete", "header_timeout"))
        return 0

    def _tend_answer(self, now: float) -> int:
        policy = self._line.keeper.policy
        waiting = self._line.transport.get_write_buffer_size()
        self._pace = keep_pace(self._pace, -waiting, now, Terms(policy.send_timeout, policy.min_rate))
        if self._pace.lost:
            self._line.keeper.count(Reason.NOT_READING)
            self._line.abort()
        return waiting

    def _tend_body(self, request: web.BaseRequest, now: float) -> None:
        policy = self._line.keeper.policy
        pace = keep_pace(self._pace, self._body, now, Terms(policy.body_timeout, policy.min_rate))
        self._pace = None if pace.lost else pace
        if not pace.lost:
            return
        self._line.keeper.count(Reason.SLOW_BODY)
        if self._ending or request.writer.output_size > 0:
            self._line.abort()
            return
        self._ending = True
        request.content.set_exception(raised(_slow("its body fell behind", "body_timeout and daemon.min_rate")))

    def _give_up(self, reason: Reason, refusal: Refusal) -> None:
        """Refuse a request whose head is not there."""
        self._line.keeper.count(reason)
        self._ending = True
        self._line.transport.write(spoken(refusal))
        self.close()
        self._depart()

    def _depart(self) -> None:
        """Part in peace: the server leaves alone what it does not see."""
        self._resume_transport_reading()
        self._ending = True
        self.close()
        self._line.part()
        self.transport = None

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send what is left of an answer; where the request is not all there, or not to be trusted, it is the last."""
        self._give_back()
        self._body, self._head_since = 0, None
        last = self._ending or self._last or not request.content.is_eof()
        if last and not resp.prepared:
            resp.force_close()
        finished = await super().finish_response(request, resp, start_time)
        if last and self.transport is not None:
            self._depart()
        return finished

    def _give_back(self) -> None:
        if self._held:
            self._line.keeper.larder.give_back(self._line.peer, self._held)
            self._held = 0

    def connection_lost(self, exc: BaseException | None) -> None:
        """Be forgotten."""
        self._give_back()
        self._line.keeper.gone(self._line)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = _BROKEN,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what raised: here ends every mistake of ours, and no other place swallows one."""
        if status < _BROKEN or isinstance(exc, CLIENTS_OWN):
            return self._refused(exc, message)
        response = self._mishap(request, exc or sys.exception())
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        response.force_close()
        return response

    def _refused(self, error: BaseException | None, message: str | None) -> web.StreamResponse:
        """Answer what is no request; what the client sent is not repeated, and what follows is not read."""
        large = isinstance(error, LineTooLong) or message == _MANY_HEADERS
        self._line.keeper.count(Reason.LARGE_HEAD if large else Reason.MALFORMED)
        self._ending = True
        return response_of(large_head() if large else malformed((message or "").partition(":")[0]))


def malformed(what: str) -> Refusal:
    """Return the refusal of what is no request, and why."""
    return Refusal(kind=RefusalKind.MALFORMED, message=f"This is no request that can be trusted: {what}")


def _slow(what: str, keys: str) -> Refusal:
    message = f"The request was given up: {what} in time. Send it faster, or raise daemon.{keys}."
    return Refusal(kind=RefusalKind.TOO_SLOW, message=message)


def _buffers_full() -> Refusal:
    message = "Bodies of requests under way fill daemon.max_buffered, or your half of it. Try again in a moment."
    return Refusal(kind=RefusalKind.BUFFERS_FULL, message=message, retry_after_s=1.0)
