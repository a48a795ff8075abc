"""One exchange with a provider, under its deadlines: from sending to a whole answer, a stream, or a fault."""

from __future__ import annotations

import math
from functools import partial

import msgspec

from daemon.relay.audition import Judging
from daemon.relay.bodies import MAX_ERROR_BYTES, MAX_REPLY_BYTES, whole_body
from daemon.relay.calls import Broken, Client, ClientCall, ExchangeResult, Failed, Give, Streamed, Wanting, Whole
from daemon.relay.deadlines import Watch
from daemon.relay.findings import Findings
from daemon.relay.gear import Gear, Terms
from daemon.relay.passage import Passage
from daemon.relay.patience import Whose, is_slow
from probes.calls import Disconnected, UpstreamReply, UpstreamRequest
from probes.dialects.classify import Diagnosis, looks_like_html
from probes.dialects.replies import read_reply
from probes.dialects.streams import StreamReader
from probes.policy import Provider
from state.errors import WireError
from state.faults import Blame, Fault
from state.outcome import Outcome

__all__ = ["Exchange"]

_OK = range(200, 300)


class Exchange:
    """One attempt's traffic. Made for one use: `run` once, then read nothing but its result."""

    def __init__(self, call: ClientCall, provider: Provider, gear: Gear, terms: Terms) -> None:
        """Prepare the exchange of `call` with `provider`; its time starts now."""
        self._call = call
        self._provider = provider
        self._gear = gear
        self._terms = terms
        self._timeouts = provider.timeouts
        self._by = terms.limits.content_by
        """Until when the answer must have begun; afterwards, until when it must have ended."""
        self._watch = Watch(terms.limits.headers_by)
        self._waiting_for = f"no first byte within {terms.limits.first_byte_s:g}s"
        self._passed = False
        self._speaking = False
        """Whether it waits for the client to take what it was given."""
        self._refusal: UpstreamReply | None = None
        """An answer whose head alone says that it is none."""
        floor = call.workload.stream_floor if call.streamed and not terms.limits.last else None
        self._floor = floor
        self._audition = terms.audition
        beginning = terms.audition.beginning if terms.audition else None
        self._reader = StreamReader(call.surface, floor.tokens if floor else 0.0, beginning)
        self._passage = Passage(terms)
        self._found = Findings(call, provider.dialect, gear, self._reader)

    @property
    def _committed(self) -> bool:
        return self._passed or self._terms.splice is not None

    async def run(self, request: UpstreamRequest, client: Client) -> ExchangeResult:
        """Send `request` and return how it went; a stream is written to `client` from its first content on.

        Raises ClientLeft, or is cancelled, when the client leaves: the call to the provider is then closed.
        """
        self._gear.sweep.add(self._watch)
        try:
            with self._watch.scope:
                result = await self._converse(request, client)
                unasked = self._terms.unasked
                if unasked is not None and isinstance(result, Failed) and result.refuses("stream_options"):
                    self._refusal = None
                    result = await self._converse(msgspec.structs.replace(request, body=unasked), client)
                return result
        finally:
            self._gear.sweep.drop(self._watch)
        return self._timed_out()

    @property
    def whole(self) -> Streamed | None:
        """The stream where the client has all of it: many leave with its last event, before its own end."""
        if not self._passed or not self._reader.finished or self._reader.diagnosis is not None:
            return None
        return Streamed(outcome=self._found.outcome(None, ""), usage=self._reader.usage)

    @property
    def unanswered_s(self) -> float | None:
        """How many seconds nothing has been said, None where something has; a whole answer says all at its end."""
        return None if self._found.first_byte_s is not None else self._gear.clock() - self._found.started

    def abandoned(self, reason: str = "the client left") -> Outcome:
        """Return the outcome of an exchange that was given up, as where its client left: nobody's fault."""
        return self._found.outcome(Fault.CANCELLED, reason)

    async def _converse(self, request: UpstreamRequest, client: Client) -> ExchangeResult:
        try:
            reply = await self._gear.upstream.open(self._provider, request)
        except WireError as error:
            outcome = self._found.outcome(getattr(error, "fault", Fault.UNREACHABLE), str(error))
            return Failed(outcome, repeatable=isinstance(error, Disconnected))
        self._waiting_for = f"nothing came for {self._timeouts.idle:g}s"
        self._found.headed(reply.headers)
        try:
            if reply.status not in _OK:
                return await self._refused(reply)
            if self._call.streamed:
                return await self._stream(reply, client)
            return await self._whole(reply)
        finally:
            await reply.aclose()

    async def _read(self, reply: UpstreamReply) -> bytes:
        by = min(self._by, self._gear.clock() + self._timeouts.idle)
        if self._floor is not None and self._found.first_byte_s is not None and not self._reader.proved:
            by = min(by, self._found.started + self._found.first_byte_s + self._floor.over)
        self._watch.expires_at = by
        return await reply.read()

    async def _refused(self, reply: UpstreamReply) -> Failed:
        self._refusal = reply
        try:
            return self._found.refused(reply, await whole_body(partial(self._read, reply), MAX_ERROR_BYTES))
        except WireError:
            return self._found.refused(reply, b"")  # the status alone says enough

    async def _whole(self, reply: UpstreamReply) -> Whole | Failed:
        try:
            body = await whole_body(partial(self._read, reply), MAX_REPLY_BYTES)
        except WireError as error:
            return Failed(self._found.outcome(Fault.BAD_REPLY, str(error), reply), repeatable=True)
        self._found.began()
        content_type = reply.headers.get("content-type", "")
        answer = read_reply(self._call.surface, content_type, body)
        self._found.read(answer, body)
        if answer.diagnosis is not None:
            filtered = answer.diagnosis.fault is Fault.CONTENT_FILTER
            outcome = self._found.diagnosed(answer.diagnosis, reply)
            # What a filter left is the provider's word to the client; what is empty or broken is nobody's.
            if filtered:
                return Failed(outcome, reply.status, reply.headers, body)
            return Failed(outcome, repeatable=not looks_like_html(content_type, body))
        return Whole(
            outcome=self._found.outcome(None, "", reply),
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
                onward = reader.feed(piece)
                if self._found.first_byte_s is None and reader.said:
                    self._begin(reply)
                if self._hushed:
                    break
                if onward and (wanting := await self._wanting_so_far(reply)) is not None:
                    return wanting
                if onward:
                    await self._pass_on(self._passage.take(onward), reply, client)
                elif reader.diagnosis is not None and not self._passed and not self._judges(reader.diagnosis):
                    if not self._is_last_word(reader.diagnosis):
                        break
                    await self._pass_on(reader.release(), reply, client)
            diagnosis = reader.diagnosis or reader.end()
        except WireError as error:
            cut = None if reader.finished else Diagnosis(fault=Fault.CUT, reason=str(error))
            diagnosis = reader.diagnosis or cut
        return await self._stream_ended(diagnosis, reply, client)

    async def _stream_ended(self, diagnosis: Diagnosis | None, reply: UpstreamReply, client: Client) -> ExchangeResult:
        give, held = partial(self._give, reply), self._judges(diagnosis) and not self._reader.committed
        if held and self._audition is not None:
            wanting = await self._wanting(self._audition.judging(diagnosis), reply, give)
            if wanting is not None:
                return wanting
        if diagnosis is None or (self._is_last_word(diagnosis) and (self._passed or held)):
            return await give(client)
        if not self._committed:
            fault = Fault.BAD_REPLY if diagnosis.fault is Fault.CUT else diagnosis.fault
            outcome = self._found.diagnosed(msgspec.structs.replace(diagnosis, fault=fault), reply)
            return Failed(outcome, repeatable=True)
        return self._broken(self._found.outcome(Fault.CUT, diagnosis.reason))

    async def _give(self, reply: UpstreamReply, client: Client) -> Streamed:
        """Pass on what is left of a stream that ended well: all of it, where it was held."""
        if not self._reader.committed:
            await self._pass_on(self._passage.take(self._reader.release()), reply, client)
        await self._pass_on(self._passage.rest(), reply, client)
        outcome = self._found.outcome(None, "", reply)
        return Streamed(outcome=outcome, usage=self._reader.usage, connect_s=reply.connect_s)

    def _judges(self, diagnosis: Diagnosis | None) -> bool:
        """Return whether a stream with that diagnosis is judged once it has ended: a good one, or a refusal."""
        filtered = diagnosis is None or diagnosis.fault is Fault.CONTENT_FILTER
        return self._audition is not None and filtered

    async def _wanting_so_far(self, reply: UpstreamReply) -> Wanting | None:
        return None if self._audition is None else await self._wanting(self._audition.lack_so_far, reply)

    async def _wanting(self, judging: Judging, reply: UpstreamReply, give: Give | None = None) -> Wanting | None:
        """Return that the stream does not do and is given up, None where it goes on; it is judged only once.

        With `give`, which gives it to the client, it has come whole.
        """
        self._audition = None
        self._watch.expires_at = math.inf  # what is waited for now is none of the provider's doing
        lack = await self._found.apart(judging())
        if lack is None:
            return None
        if give is not None:
            return Wanting(outcome=self._found.outcome(None, "", reply), lack=lack, give=give)
        outcome = msgspec.structs.replace(self.abandoned(f"given up: {lack}"), at_fault=Blame.OURSELVES)
        return Wanting(outcome=outcome, lack=lack)

    @property
    def _hushed(self) -> bool:
        """Whether the provider's own last word is kept from the client: somebody else may go on, or it says too little.

        It may have come with the first content; then the client has nothing at all, and the next target is asked.
        """
        diagnosis = self._reader.diagnosis
        if diagnosis is None or not self._reader.committed or self._is_last_word(diagnosis):
            return False
        return self._terms.text is not None or self._reader.unsaid

    def _is_last_word(self, diagnosis: Diagnosis) -> bool:
        """Whether the stream's own ending is what the client should read: a filter's, where no fallback is wanted."""
        unwanted = Fault.CONTENT_FILTER not in self._call.workload.fallback_on
        return diagnosis.fault is Fault.CONTENT_FILTER and unwanted

    async def _pass_on(self, onward: bytes, reply: UpstreamReply, client: Client) -> None:
        if not onward:
            return
        self._by = self._terms.limits.end
        self._watch.expires_at = self._by  # a client that reads slowly is not the provider's idleness
        self._speaking = True
        if self._found.first_byte_s is None:
            self._begin(reply)
        if not self._passed:
            self._passed = True
            await client.start(reply.status, reply.headers)
        if shown := self._passage.as_shown(onward):
            await client.write(shown)
        self._speaking = False

    def _begin(self, reply: UpstreamReply) -> None:
        self._found.began()
        if self._terms.began is not None:
            self._terms.began(self._found.outcome(None, "", reply))

    def _timed_out(self) -> ExchangeResult:
        if self._refusal is not None:
            return self._found.refused(self._refusal, b"")
        outcome = self._late()
        if not self._committed:
            return Failed(outcome)
        diagnosis = self._reader.diagnosis
        if diagnosis is not None and not self._is_last_word(diagnosis):
            return self._broken(self._found.outcome(Fault.CUT, diagnosis.reason))
        if self._reader.finished or diagnosis is not None:
            return Streamed(outcome=self._found.outcome(None, ""), usage=self._reader.usage)
        at_fault = None if outcome.counts else outcome.blame
        return self._broken(msgspec.structs.replace(outcome, fault=Fault.CUT, at_fault=at_fault))

    def _late(self) -> Outcome:
        """Return what a deadline that passed means: whose it was decides who is to blame."""
        now, limits = self._gear.clock(), self._terms.limits
        if self._speaking or now >= self._call.deadline:
            clients = "the client's own deadline passed" if now >= self._call.deadline else "the client does not read"
            return self._found.outcome(Fault.CANCELLED, clients)
        if now >= limits.end:
            return self._found.outcome(Fault.TIMEOUT, f"not finished within {self._timeouts.total:g}s")
        if self._floor is not None and self._reader.said and not self._reader.proved:
            pace = f"{self._floor.tokens_per_second:g} tokens a second"
            return self._found.outcome(
                Fault.TIMEOUT, f"it drips: about {self._reader.said:.0f} tokens, less than {pace}"
            )
        if self._passed or now < limits.content_by:
            return self._found.outcome(Fault.TIMEOUT, self._waiting_for)
        waited_s = now - self._found.started
        outcome = self._found.outcome(
            Fault.TIMEOUT, f"no answer in its {waited_s:.1f}s share of the {limits.whose} deadline"
        )
        if limits.whose is Whose.PROVIDER or is_slow(waited_s, self._terms.expected_s):
            return outcome
        at_fault = Blame.CALLER if limits.whose is Whose.CALLER else Blame.OURSELVES
        return msgspec.structs.replace(outcome, at_fault=at_fault)

    def _broken(self, outcome: Outcome) -> Broken:
        untold = self._reader.diagnosis is None or self._hushed or not self._passed
        told = None if untold else self._passage.rest()
        return Broken(outcome=outcome, usage=self._reader.usage, told=told)
