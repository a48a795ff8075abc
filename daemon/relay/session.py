"""One client request from its arrival to its end: lease, exchange, and past the targets that fail."""

from __future__ import annotations

import anyio

from daemon.limits.accounts import Verdict
from daemon.relay.admission import let_in, set_aside
from daemon.relay.bill import Bill
from daemon.relay.calls import (
    Answer,
    Broken,
    Client,
    ClientCall,
    ClientLeft,
    ExchangeResult,
    Failed,
    Streamed,
    Wanting,
    Whole,
)
from daemon.relay.closing import Closing, Ways
from daemon.relay.course import Course
from daemon.relay.escalation import Escalation
from daemon.relay.gear import Surroundings
from daemon.relay.journal import Journal
from daemon.relay.last_words import LastWords
from daemon.relay.preparation import Preparation
from daemon.relay.race import Race, Track
from daemon.relay.refusing import limited, too_long
from daemon.relay.sorting import sort
from daemon.relay.voice import Voice
from daemon.routing.leases import Lease, NoLease
from probes.dialects.texts import TextSoFar
from state.faults import Blame
from state.history.rows import RequestRow
from state.outcome import Outcome

__all__ = ["Session"]


class Session:
    """The life of one request. `run` once."""

    def __init__(self, call: ClientCall, around: Surroundings) -> None:
        """Take up `call`."""
        self._call = call
        self._around = around
        self._course = Course(call, around.gear.clock, around.payers, around.prices)
        bill = Bill(around.prices, self._course.tokens, call.surface.work)
        self._journal = Journal(call, around.witnesses, bill)
        self._text = TextSoFar(call.surface) if call.collects else None
        self._escalation = Escalation(around, self._course, self._journal)
        self._preparation = Preparation(around, self._course, self._journal, self._text, self._escalation)
        self._stop = ""
        self._last_words: LastWords
        self._closing: Closing
        self._voice: Voice

    async def run(self, client: Client) -> Answer | None:
        """Return the answer, or None where it was streamed to `client`.

        Raises ClientLeft, or is cancelled, when the client leaves; the request is then written down as cancelled.
        """
        self._voice = Voice(self._call, self._journal.story, client, self._around.gear.clock)
        self._last_words = LastWords(self._call, self._journal, self._voice, self._around.shelf)
        ways = Ways(self._course, self._journal, self._escalation, self._voice, self._last_words)
        self._closing = Closing(ways, self._around, self._text)
        try:
            with self._around.curfew.observed():
                return await self._answer()
            return await self._stopped()
        except BaseException as error:
            if isinstance(error, Exception) and not isinstance(error, ClientLeft):
                await self._last_words.mishap()
            raise
        finally:
            self._escalation.drop()
            if not self._journal.over:
                self._closing.left()
            if self._journal.tab is not None:
                self._journal.tab.close(self._journal.bill.tokens)

    @property
    def ending(self) -> RequestRow | None:
        """What was written down of the request at its end; None before."""
        return self._journal.row

    async def _stopped(self) -> Answer | None:
        """Tell a client that the daemon ends before its answer does, unless that had all come."""
        if self._journal.over or self._course.left_with is not None:
            return None
        return await self._last_words.stopped(self._course.tried)

    async def _answer(self) -> Answer | None:
        if self._call.workload.max_input_tokens is not None and (
            refusal := too_long(self._call.workload, self._course.needs.tokens)
        ):
            return await self._last_words.refuse(refusal, self._course.tried)
        if (verdict := let_in(self._course, self._journal, self._around)) is not None:
            return await self._last_words.refuse(limited(verdict), self._course.tried)
        if self._call.workload.sorts:
            await sort(self._course, self._journal, self._around)
        while not await self._is_last(result := await self._one_attempt()):
            pass
        return await self._end(result)

    async def _is_last(self, result: ExchangeResult | NoLease | Verdict) -> bool:
        """Return whether nothing else is tried; where something is, the course knows what."""
        match result:
            case NoLease():
                last = self._course.last_failure
                return last is None or not self._escalates(last)
            case Wanting():
                self._escalation.keep(result)
                return False
            case Broken():
                return self._voice.within_event or not self._course.continues(self._text, result)
            case Failed():
                self._stop = await self._course.after(result)
                return bool(self._stop) and not self._escalates(result)
            case _:
                return True

    def _escalates(self, failed: Failed) -> bool:
        """Return whether a stronger target is asked after a failure; if it fails too, this one is told."""
        if not self._course.escalates(failed.outcome):
            return False
        self._escalation.keep(failed)
        return True

    async def _end(self, result: ExchangeResult | NoLease | Verdict) -> Answer | None:
        match result:
            case Verdict():
                return await self._closing.limited(result)
            case NoLease():
                return await self._closing.without_lease(result)
            case Whole():
                return self._closing.whole(*await self._bettered(result))
            case Failed():
                return await self._closing.failed(result, self._stop)
            case Streamed():
                await self._closing.streamed(result)
            case Broken():
                await self._closing.broken(result)
            case Wanting():
                pass  # somebody else was ready, so it never is the last
        return None

    async def _one_attempt(self) -> ExchangeResult | NoLease | Verdict:
        asked_at = self._around.gear.clock()
        async with self._escalation.next_lease() as lease:
            self._decided(lease, asked_at)
            if isinstance(lease, NoLease):
                return lease
            if pause_s := self._course.pause_before(lease):
                await anyio.sleep(pause_s)
            if (verdict := await set_aside(self._journal, lease)) is not None:
                return verdict
            self._stepped(lease)
            return await self._attempt(lease)

    def _decided(self, lease: Lease | NoLease, asked_at: float) -> None:
        story, course = self._journal.story, self._course
        story.queue_s += lease.waited_s
        story.decide_s += max(0.0, self._around.gear.clock() - asked_at - lease.waited_s)
        self._journal.decided(lease.choice, len(course.tried) + 1)
        if not isinstance(lease, NoLease):
            course.answer_tokens = lease.choice.answer_tokens

    def _stepped(self, lease: Lease) -> None:
        """Write down that the attempt which is about to be made is not where the request was before."""
        course = self._course
        if course.tried:
            origin, outcome = course.tried[-1]
            if lack := self._escalation.take_lack():
                self._journal.escalated(origin, lease.target, Outcome(reason=lack))
            elif course.stronger is not None:
                self._journal.escalated(origin, lease.target, outcome)
            elif origin != lease.target:
                self._journal.fell_back(origin, lease.target, outcome)
        elif (primary := lease.choice.primary) is not None and primary != lease.target:
            self._journal.fell_back(primary, lease.target, Outcome(reason=lease.choice.reason))

    async def _attempt(self, lease: Lease) -> ExchangeResult:
        story = self._journal.story
        story.target = lease.target
        story.attempts += 1
        workload, held = self._call.workload.name, self._course.rehearsal
        rehearsal = self._around.rehearsals.take(workload, lease.target, story.attempts, held)
        if rehearsal is not None:
            self._course.rehearsal = rehearsal
            reason = f"a rehearsal that {rehearsal.by} ordered"
            result: ExchangeResult = Failed(Outcome(fault=rehearsal.fault, reason=reason, at_fault=Blame.OURSELVES))
        elif self._is_raced(lease):
            return await self._race(lease)
        else:
            result = await self._exchange(lease)
        if isinstance(result, Whole):
            self._around.desk.answered(lease)
        self._journal.attempted(lease, result.outcome)
        self._course.tried.append((lease.target, result.outcome))
        return result

    def _is_raced(self, lease: Lease) -> bool:
        """Return whether a hedge may be sent beside the attempt: nothing that is told or rehearsed gets in its way."""
        waits = any(order.workload == self._call.workload.name for order in self._around.rehearsals.pending())
        return lease.hedge_after_s is not None and not waits and self._journal.story.fallback_from is None

    async def _race(self, lease: Lease) -> ExchangeResult:
        track = Track(
            call=self._call,
            course=self._course,
            journal=self._journal,
            desk=self._around.desk,
            voice=self._voice,
            prepare=self._preparation.exchange,
            unfinished=self._preparation.unfinished,
        )
        return await Race(track, lease).run()

    async def _exchange(self, lease: Lease) -> ExchangeResult:
        exchange, request = self._preparation.exchange(lease)
        try:
            if self._call.streamed and self._voice.quiet and self._journal.story.fallback_from:
                return await self._voice.while_quiet(lambda: exchange.run(request, self._voice))
            return await exchange.run(request, self._voice)
        except (ClientLeft, anyio.get_cancelled_exc_class()):
            self._around.desk.forgive(lease)
            whole = self._course.left_with = exchange.whole
            self._journal.attempted(lease, self._preparation.unfinished(exchange) if whole is None else whole.outcome)
            self._course.tried.append((lease.target, self._preparation.unfinished(exchange)))
            raise

    async def _bettered(self, result: Whole) -> tuple[Whole, str | None]:
        """Return the best answer that is to be had, and what it lacks all the same."""
        while (lack := await self._escalation.lack_of(result)) is not None:
            better = await self._ask_stronger(lack)
            if better is None:
                return result, lack
            result = better
        return result, None

    async def _ask_stronger(self, lack: str) -> Whole | None:
        """Return the answer of a stronger model, None where there is none to be had."""
        course, told = self._course, self._journal.told
        origin, _ = course.tried[-1]
        while (onto := course.stronger_than(origin)) and course.may_escalate:
            async with self._around.desk.lease(course.escalation(onto, lack)) as lease:
                self._journal.decided(lease.choice, len(course.tried) + 1)
                if isinstance(lease, NoLease) or await set_aside(self._journal, lease) is not None:
                    break
                self._journal.escalated(origin, lease.target, Outcome(reason=lack))
                result = await self._attempt(lease)
            if isinstance(result, Whole):
                return result
        self._journal.came_back(origin, told)
        return None
