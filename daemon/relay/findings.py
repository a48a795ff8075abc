"""What one attempt has shown so far, and the outcome that it makes."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Final, TypeVar

import msgspec

from daemon.relay.calls import ClientCall, Failed
from daemon.relay.gear import Gear
from probes.calls import UpstreamReply
from probes.dialects.classify import Diagnosis, ReplyFacts, classify
from probes.dialects.headroom import finer_wait, headroom_of
from probes.dialects.replies import Answer as ReadReply
from probes.dialects.streams import StreamReader
from probes.dialects.texts import text_of
from probes.policy import Dialect
from state.faults import Fault, Scope
from state.outcome import Outcome, Usage
from state.quota import Headroom

__all__ = ["Findings"]


T = TypeVar("T")
_TOKEN_BYTES: Final = 4
"""What is taken for a token of an answer of which nobody says how many it has, as for the events of a stream."""


class Findings:
    """Belongs to one exchange. Times are monotonic seconds.

    started: when it was made.
    first_byte_s: how long it took to say something, None while it has not.
    counted: what a whole answer says was counted; a stream's reader knows its own.
    apart_s: how long it waited for fairlead's own doing, which its outcome does not tell.
    """

    def __init__(self, call: ClientCall, dialect: Dialect, gear: Gear, reader: StreamReader) -> None:
        """Begin an attempt of `call` now, in the provider's `dialect`; `reader` reads its stream, if it is one."""
        self._call = call
        self._dialect = dialect
        self._gear = gear
        self._reader = reader
        self.started = gear.clock()
        self.first_byte_s: float | None = None
        self.counted: Usage | None = None
        self.apart_s = 0.0
        self._headed_at = self.started
        self._headroom: Headroom | None = None
        self._uncounted = 0.0

    def headed(self, headers: Mapping[str, str]) -> None:
        """Take in the head of the answer, which tells of limits."""
        self._headed_at = self._gear.clock()
        self._headroom = headroom_of(headers, self._gear.wall())

    def began(self) -> None:
        """Take in that it says something."""
        self.first_byte_s = self._gear.clock() - self.started

    def read(self, answer: ReadReply, body: bytes) -> None:
        """Take in a whole answer: what was counted, else about how much it says, at a token for four bytes."""
        self.counted = answer.usage
        if answer.diagnosis is None and answer.usage.completion_tokens is None and self._call.surface.generates:
            text = text_of(self._call.surface, body)
            self._uncounted = max(1.0, len(body if text is None else text.encode("utf-8", "replace")) / _TOKEN_BYTES)

    async def apart(self, doing: Awaitable[T]) -> T:
        """Return what `doing` returns, whose time is none of the provider's."""
        began = self._gear.clock()
        try:
            return await doing
        finally:
            self.apart_s += self._gear.clock() - began

    def refused(self, reply: UpstreamReply, body: bytes) -> Failed:
        """Return what an answer means whose status says that it is none."""
        facts = ReplyFacts(
            status=reply.status,
            content_type=reply.headers.get("content-type", ""),
            headers=reply.headers,
            body=body,
            dialect=self._dialect,
        )
        outcome = self.diagnosed(classify(facts, now_wall=self._gear.wall()), reply)
        return Failed(outcome, reply.status, reply.headers, body, repeatable=True)

    def diagnosed(self, diagnosis: Diagnosis, reply: UpstreamReply) -> Outcome:
        """Return the outcome of an answer that says what is wrong."""
        outcome = self.outcome(diagnosis.fault, diagnosis.reason, reply)
        reaches = Scope.CREDENTIAL if diagnosis.account_wide else None
        wait_s = finer_wait(diagnosis.retry_after_s, self._headroom)
        return msgspec.structs.replace(outcome, retry_after_s=wait_s, reaches=reaches)

    def outcome(self, fault: Fault | None, reason: str, reply: UpstreamReply | None = None) -> Outcome:
        """Return the outcome were it over now; `reply` is its answer, where that is there."""
        now, headroom = self._gear.clock(), self._headroom
        usage = self.counted or self._reader.usage
        if headroom is not None:
            headroom = msgspec.structs.replace(headroom, age_s=now - self._headed_at)
        return Outcome(
            fault=fault,
            status=reply.status if reply else None,
            reason=reason,
            first_byte_s=self.first_byte_s,
            latency_s=now - self.started - self.apart_s,
            headroom=headroom,
            streamed=self._call.streamed,
            tokens=usage.completion_tokens,
            usage=usage,
            said=self._uncounted or self._reader.uncounted,
        )
