"""How a request ends: what its client is given, and what is written down of it."""

from __future__ import annotations

import msgspec

from daemon.limits.accounts import Verdict
from daemon.relay.calls import Answer, Broken, Failed, Streamed, Whole
from daemon.relay.course import Course
from daemon.relay.escalation import Escalation
from daemon.relay.gear import Surroundings
from daemon.relay.headers import answer_headers, story_headers
from daemon.relay.journal import Ending, Journal
from daemon.relay.last_words import LastWords
from daemon.relay.refusing import deadline_passed, exhausted, limited, no_lease
from daemon.relay.voice import Voice
from daemon.routing.leases import NoLease
from probes.dialects.texts import TextSoFar
from state.faults import Fault
from state.outcome import Usage

__all__ = ["Closing", "Ways"]

_LEFT = 499
"""nginx's status for a client that left before its answer; it is only ever written down, never sent."""


class Ways(msgspec.Struct, frozen=True):
    """The parts of a request's session by which it can end."""

    course: Course
    journal: Journal
    escalation: Escalation
    voice: Voice
    last_words: LastWords


class Closing:
    """Ends one request, once, in one of these ways."""

    def __init__(self, ways: Ways, around: Surroundings, text: TextSoFar | None) -> None:
        """End by `ways`; `text` is what the client has had of a stream, where somebody needs it."""
        self._ways = ways
        self._around = around
        self._text = text

    async def limited(self, verdict: Verdict) -> Answer | None:
        """Tell of the limit that forbids the next attempt, unless an answer was kept that did not do."""
        if (given := await self._ways.escalation.give_kept(self._ways.voice)) is not None:
            self._ways.journal.ended(Ending(outcome="ok", status=200, last=given.outcome, usage=given.usage))
            return None
        course = self._ways.course
        if course.continued:
            await self.broken(Broken(outcome=course.tried[-1][1], usage=Usage()))
            return None
        return await self._ways.last_words.refuse(limited(verdict), course.tried)

    def left(self) -> None:
        """Write down a client that left: where it had the whole stream, that was an answer."""
        whole = self._ways.course.left_with
        if whole is None:
            self._ways.journal.ended(Ending(outcome="cancelled", status=_LEFT))
            return
        self._around.shelf.keep_stream(self._ways.course.call, self._ways.journal.story.target, self._text)
        usage = self._ways.course.usage.plus(whole.usage)
        self._ways.journal.ended(Ending(outcome="ok", status=200, last=whole.outcome, usage=usage))

    def whole(self, result: Whole, lack: str | None) -> Answer:
        """Give a whole answer; one that lacks something is kept for nobody else."""
        story = self._ways.journal.story
        now = self._around.gear.clock()
        story.first_byte_s = now - self._ways.course.call.arrived_at
        story.connect_s = result.connect_s
        story.cost_usd = self._ways.journal.bill.total_usd
        own = story_headers(self._ways.course.call, story, now)
        if lack is None:
            self._around.shelf.keep_whole(self._ways.course.call, story.target, result.body)
        self._ways.journal.ended(Ending(outcome="ok", status=result.status, last=result.outcome, usage=result.usage))
        return Answer(
            status=result.status, headers=answer_headers(result.headers, own, "application/json"), body=result.body
        )

    async def streamed(self, result: Streamed) -> None:
        """Write down a stream that the client has in full."""
        if self._ways.course.continued:
            await self._ways.voice.say(
                f"fairlead-continued: the answer is in parts, its end by {self._ways.journal.story.target}"
            )
        self._around.shelf.keep_stream(self._ways.course.call, self._ways.journal.story.target, self._text)
        usage = self._ways.course.usage.plus(result.usage)
        self._ways.journal.ended(Ending(outcome="ok", status=200, last=result.outcome, usage=usage))

    async def broken(self, broken: Broken) -> None:
        """Tell of a stream that broke after content, in the stream."""
        await self._ways.voice.break_off(broken.outcome.reason, broken.told)
        usage = self._ways.course.usage.plus(broken.usage)
        self._ways.journal.ended(Ending(outcome="cut", status=200, last=broken.outcome, usage=usage))

    async def failed(self, failed: Failed, stop: str) -> Answer | None:
        """Tell of the last failure; `stop` says why nothing else was tried."""
        if self._ways.course.continued:
            await self.broken(Broken(outcome=failed.outcome, usage=Usage()))
            return None
        if (given := await self._ways.escalation.give_kept(self._ways.voice)) is not None:
            self._ways.journal.ended(Ending(outcome="ok", status=200, last=given.outcome, usage=given.usage))
            return None
        failed = self._ways.escalation.failure(failed)
        if failed.outcome.fault is Fault.CANCELLED:
            return await self._ways.last_words.refuse(deadline_passed(self._ways.course.tried), self._ways.course.tried)
        if (answer := self._ways.last_words.passed_on(failed, self._ways.course.tried)) is not None:
            return answer
        call, tried = self._ways.course.call, self._ways.course.tried
        return await self._ways.last_words.refuse(exhausted(call, tried, stop), tried)

    async def without_lease(self, lease: NoLease) -> Answer | None:
        """Tell that nobody could be asked, or what the one who was asked last said."""
        if self._ways.course.continued:
            await self.broken(Broken(outcome=self._ways.course.tried[-1][1], usage=Usage()))
            return None
        if self._ways.course.last_failure is not None:
            return await self.failed(self._ways.course.last_failure, "No other target is left.")
        return await self._ways.last_words.refuse(no_lease(self._ways.course.call, lease), self._ways.course.tried)
