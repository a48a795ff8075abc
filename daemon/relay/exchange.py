"""One exchange with a provider, under its deadlines: from sending to a whole answer, a stream, or a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import anyio
import msgspec

from daemon.relay.calls import Broken, Client, ClientCall, ExchangeResult, Failed, Streamed, Whole
from daemon.relay.deadlines import DeadlineSweep, Watch
from daemon.relay.events import WholeEvents
from probes.calls import CutShort, UpstreamReply, UpstreamRequest
from probes.dialects.classify import Diagnosis, ReplyFacts, classify
from probes.dialects.replies import read_reply
from probes.dialects.shapes import ErrorText, error_event
from probes.dialects.streams import StreamReader
from probes.policy import Provider
from state.errors import WireError
from state.faults import Fault
from state.outcome import Outcome

__all__ = ["MAX_REPLY_BYTES", "Exchange", "Gear", "Upstream"]

MAX_REPLY_BYTES = 64 * 1024 * 1024
"""A whole answer beyond this is not what was asked; large embedding batches stay well below."""
_LAST_WORDS_S = 1.0
_OK = range(200, 300)


class Upstream(Protocol):
    """What opens a call to a provider: `probes.wire.Wires`."""

    async def open(self, provider: Provider, request: UpstreamRequest) -> UpstreamReply:
        """Send `request` and return once status and headers are there. Raises WireError."""
        ...


class Gear(msgspec.Struct, frozen=True):
    """What every exchange works with."""

    upstream: Upstream
    sweep: DeadlineSweep
    clock: Callable[[], float]
    """Monotonic seconds."""
    wall: Callable[[], float]
    """Unix seconds: providers name dates until which to wait."""


class Exchange:
    """One attempt's traffic. Made for one use: `run` once, then read nothing but its result."""

    def __init__(self, call: ClientCall, provider: Provider, gear: Gear) -> None:
        """Prepare the exchange of `call` with `provider`; its time starts now."""
        self._call = call
        self._provider = provider
        self._gear = gear
        self._limits = provider.timeouts
        self._started = gear.clock()
        self._end = min(self._started + self._limits.total, call.deadline)
        self._watch = Watch(min(self._end, self._started + self._limits.connect + self._limits.first_byte))
        self._waiting_for = f"no first byte within {self._limits.first_byte:g}s"
        self._first_byte_s: float | None = None
        self._reader = StreamReader(call.surface)
        self._events = WholeEvents()

    @property
    def _committed(self) -> bool:
        return self._call.streamed and self._first_byte_s is not None

    async def run(self, request: UpstreamRequest, client: Client) -> ExchangeResult:
        """Send `request` and return how it went; a stream is written to `client` from its first content on.

        Raises ClientLeft, or is cancelled, when the client leaves: the call to the provider is then closed.
        """
        self._gear.sweep.add(self._watch)
        try:
            with self._watch.scope:
                return await self._converse(request, client)
        finally:
            self._gear.sweep.drop(self._watch)
        return await self._timed_out(client)

    def abandoned(self) -> Outcome:
        """Return the outcome of an exchange whose client left: nobody's fault."""
        return self._outcome(Fault.CANCELLED, "the client left")

    async def _converse(self, request: UpstreamRequest, client: Client) -> ExchangeResult:
        try:
            reply = await self._gear.upstream.open(self._provider, request)
        except WireError as error:
            return Failed(outcome=self._outcome(getattr(error, "fault", Fault.UNREACHABLE), str(error)))
        self._waiting_for = f"nothing came for {self._limits.idle:g}s"
        try:
            if reply.status not in _OK:
                return await self._refused(reply)
            if self._call.streamed:
                return await self._stream(reply, client)
            return await self._whole(reply)
        finally:
            await reply.aclose()

    async def _read(self, reply: UpstreamReply) -> bytes:
        self._watch.expires_at = min(self._end, self._gear.clock() + self._limits.idle)
        return await reply.read()

    async def _body(self, reply: UpstreamReply) -> bytes:
        """Return the whole body. Raises CutShort, also where it is larger than any answer should be."""
        pieces = []
        size = 0
        while piece := await self._read(reply):
            size += len(piece)
            if size > MAX_REPLY_BYTES:
                raise CutShort(f"the answer is larger than {MAX_REPLY_BYTES} bytes")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _refused(self, reply: UpstreamReply) -> Failed:
        try:
            body = await self._body(reply)
        except WireError:
            body = b""  # the status alone says enough
        facts = ReplyFacts(
            status=reply.status,
            content_type=reply.headers.get("content-type", ""),
            headers=reply.headers,
            body=body,
            dialect=self._provider.dialect,
        )
        diagnosis = classify(facts, now_wall=self._gear.wall())
        return Failed(outcome=self._diagnosed(diagnosis, reply), status=reply.status, headers=reply.headers, body=body)

    async def _whole(self, reply: UpstreamReply) -> Whole | Failed:
        try:
            body = await self._body(reply)
        except WireError as error:
            return Failed(outcome=self._outcome(Fault.BAD_REPLY, str(error), reply))
        self._first_byte_s = self._gear.clock() - self._started
        answer = read_reply(self._call.surface, reply.headers.get("content-type", ""), body)
        if answer.diagnosis is not None:
            filtered = answer.diagnosis.fault is Fault.CONTENT_FILTER
            outcome = self._diagnosed(answer.diagnosis, reply)
            # What a filter left is the provider's word to the client; what is empty or broken is nobody's.
            return Failed(outcome, reply.status, reply.headers, body) if filtered else Failed(outcome)
        return Whole(
            outcome=self._outcome(None, "", reply),
            status=reply.status,
            headers=reply.headers,
            body=body,
            usage=answer.usage,
            connect_s=reply.connect_s,
        )

    async def _stream(self, reply: UpstreamReply, client: Client) -> ExchangeResult:
        reader = self._reader
        diagnosis: Diagnosis | None = None
        try:
            while piece := await self._read(reply):
                if onward := reader.feed(piece):
                    await self._pass_on(self._events.take(onward), reply, client)
                elif reader.diagnosis is not None and not self._committed:
                    if not self._is_last_word(reader.diagnosis):
                        break
                    await self._pass_on(reader.release(), reply, client)
            diagnosis = reader.diagnosis or reader.end()
        except WireError as error:
            if not reader.finished:
                diagnosis = reader.diagnosis or Diagnosis(fault=Fault.CUT, reason=str(error))
        if diagnosis is None or (self._committed and self._is_last_word(diagnosis)):
            await self._pass_on(self._events.rest(), reply, client)
            return Streamed(outcome=self._outcome(None, "", reply), usage=reader.usage, connect_s=reply.connect_s)
        if not self._committed:
            fault = Fault.BAD_REPLY if diagnosis.fault is Fault.CUT else diagnosis.fault
            return Failed(outcome=self._diagnosed(msgspec.structs.replace(diagnosis, fault=fault), reply))
        return await self._break_off(diagnosis.reason, client)

    def _is_last_word(self, diagnosis: Diagnosis) -> bool:
        """Whether the stream's own ending is what the client should read: a filter's, where no fallback is wanted."""
        unwanted = Fault.CONTENT_FILTER not in self._call.workload.fallback_on
        return diagnosis.fault is Fault.CONTENT_FILTER and unwanted

    async def _pass_on(self, onward: bytes, reply: UpstreamReply, client: Client) -> None:
        if not onward:
            return
        self._watch.expires_at = self._end  # a client that reads slowly is not the provider's idleness
        if self._first_byte_s is None:
            self._first_byte_s = self._gear.clock() - self._started
            await client.start(reply.status, reply.headers)
        await client.write(onward)

    async def _timed_out(self, client: Client) -> ExchangeResult:
        now = self._gear.clock()
        fault, reason = Fault.TIMEOUT, self._waiting_for
        if now >= self._call.deadline:
            fault, reason = Fault.CANCELLED, "the client's own deadline passed"
        elif now >= self._end:
            reason = f"not finished within {self._limits.total:g}s"
        if not self._committed:
            return Failed(outcome=self._outcome(fault, reason))
        if self._reader.finished:
            return Streamed(outcome=self._outcome(None, ""), usage=self._reader.usage)
        return await self._break_off(reason, client)

    async def _break_off(self, reason: str, client: Client) -> Broken:
        """End a committed stream in the error that the client's SDK raises, never as if it were whole."""
        if self._reader.diagnosis is None:
            text = ErrorText(
                status=502,
                message=f"The answer broke off: {reason}. What came so far is incomplete; ask again.",
                type="upstream_error",
                code="stream_broken",
                request_id=self._call.request_id,
            )
            last_words = error_event(self._call.surface, text)
        else:
            last_words = self._events.rest()
        with anyio.move_on_after(_LAST_WORDS_S):  # a client that does not read cannot hold the lease
            await client.write(last_words)
        return Broken(outcome=self._outcome(Fault.CUT, reason), usage=self._reader.usage)

    def _diagnosed(self, diagnosis: Diagnosis, reply: UpstreamReply) -> Outcome:
        outcome = self._outcome(diagnosis.fault, diagnosis.reason, reply)
        return msgspec.structs.replace(outcome, retry_after_s=diagnosis.retry_after_s)

    def _outcome(self, fault: Fault | None, reason: str, reply: UpstreamReply | None = None) -> Outcome:
        return Outcome(
            fault=fault,
            status=reply.status if reply else None,
            reason=reason,
            first_byte_s=self._first_byte_s,
            latency_s=self._gear.clock() - self._started,
            streamed=self._call.streamed,
        )
