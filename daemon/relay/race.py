"""A race: a first attempt that says nothing, and a second beside it. Whoever has content to give first wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import anyio
import msgspec

from daemon.lease_desk import LeaseDesk
from daemon.relay.admission import set_aside
from daemon.relay.calls import Client, ClientCall, ClientLeft, ExchangeResult, Failed, Whole
from daemon.relay.course import Course
from daemon.relay.exchange import Exchange
from daemon.relay.journal import Journal, Lane
from daemon.routing.hedging import candidate_of
from daemon.routing.leases import Lease, NoLease
from probes.calls import UpstreamRequest
from state.faults import ENTITLEMENT, Blame
from state.outcome import Outcome

__all__ = ["Race", "Track"]

_OUTRUN: Final = "hedge: the other answered first"


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """What the attempts of a race have in common."""

    call: ClientCall
    course: Course
    journal: Journal
    desk: LeaseDesk
    voice: Client
    prepare: Callable[[Lease], tuple[Exchange, UpstreamRequest]]
    """Makes an exchange, whose time starts with that, and what it is to send."""
    unfinished: Callable[[Exchange], Outcome]
    """Says of an exchange that was ended here whose doing that was."""


class Race:
    """The first attempt of a request, and the hedge that it may get. `run` once."""

    def __init__(self, track: Track, lease: Lease) -> None:
        """Let the first attempt have `lease`, which names the time of the hedge."""
        self._track = track
        self._first = _Runner(self, lease, 1)
        self._second: _Runner | None = None
        self._hedge = anyio.CancelScope()
        """Around the hedge from the wait for its time on."""
        self._winner: _Runner | None = None
        self._result: ExchangeResult | None = None
        self._failures: list[tuple[_Runner, Failed]] = []
        self._left: ClientLeft | None = None

    async def run(self) -> ExchangeResult:
        """Return the winner's result, or the failure to go on from.

        Nobody but the winner writes to the client, and the loser's call and lease have ended when this returns. Raises
        ClientLeft, or is cancelled, when the client leaves.
        """
        track, first = self._track, self._first
        began = track.journal.now()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._hedge_in_time, began)
                with first.scope:
                    await self._let(first)
        finally:
            second = self._second.lease.target if self._second else None
            track.journal.raced(first.lease.target, second, track.journal.now() - began)
        if self._left is not None:
            raise self._left
        return self._told()

    def wins(self, runner: _Runner) -> bool:
        """Return whether `runner`, which has content to give, is the first that has; the other is then cancelled."""
        if self._winner is None:
            self._winner = runner
            story = self._track.journal.story
            story.target = runner.lease.target
            if runner is self._first:
                self._hedge.cancel()
            else:
                story.hedged = "won"
                self._first.scope.cancel()
        return self._winner is runner

    @property
    def track(self) -> Track:
        """What its attempts have in common."""
        return self._track

    async def _hedge_in_time(self, began: float) -> None:
        """Send a second attempt once the first has said nothing for as long as its lease says."""
        track, first = self._track, self._first
        own = candidate_of(first.lease.choice, first.lease.target)
        if own is None or first.lease.hedge_after_s is None:
            return
        with self._hedge:
            await anyio.sleep(first.lease.hedge_after_s)
            if first.exchange.unanswered_s is None:
                return
            async with track.desk.lease(track.course.hedge(own, began)) as lease:
                if isinstance(lease, NoLease):
                    track.journal.not_hedged()
                    return
                if await set_aside(track.journal, lease) is not None:
                    track.journal.not_hedged()
                    return
                track.journal.hedged(lease)
                second = self._second = _Runner(self, lease, 2)
                await self._let(second)

    async def _let(self, runner: _Runner) -> None:
        """Let `runner` run to its end, whichever that is, and write it down."""
        try:
            result = await runner.exchange.run(runner.request, runner)
        except ClientLeft as error:
            self._left = error
            self._stopped(runner)
        except anyio.get_cancelled_exc_class():
            self._stopped(runner)
            raise
        else:
            self._ended(runner, result)
        finally:
            self._track.desk.give_back(runner.lease)

    def _ended(self, runner: _Runner, result: ExchangeResult) -> None:
        """Take in a result: one that can be given wins, and a failure leaves the field to the other."""
        if isinstance(result, Whole):
            self._track.desk.answered(runner.lease)
        runner.note(result.outcome)
        if not isinstance(result, Failed) or self._is_to_be_shown(result):
            if self.wins(runner):
                self._result = result
            return
        self._failures.append((runner, result))
        if self._second is None:
            self._hedge.cancel()

    def _is_to_be_shown(self, failed: Failed) -> bool:
        """Return whether the workload wants to see a failure that the other attempt might answer around."""
        return self._track.call.workload.require_entitlement and failed.outcome.fault in ENTITLEMENT

    def _stopped(self, runner: _Runner) -> None:
        """Write down an attempt that was cancelled: it lost, or the client left."""
        exchange, course = runner.exchange, self._track.course
        if self._winner not in {None, runner}:
            runner.note(msgspec.structs.replace(exchange.abandoned(_OUTRUN), at_fault=Blame.OURSELVES))
            return
        self._track.desk.forgive(runner.lease)
        if self._winner is runner:
            course.left_with = exchange.whole
        runner.note(course.left_with.outcome if course.left_with else self._track.unfinished(exchange))

    def _told(self) -> ExchangeResult:
        """Tell the course who has run, and return what it goes on from.

        Of two failures that is the one that nobody falls back on, whichever came last: the hedge is no way around it.
        """
        track, winner = self._track, self._winner
        fallback_on = track.call.workload.fallback_on
        self._failures.sort(key=lambda each: each[1].outcome.fault not in fallback_on)
        if winner is not None and self._result is not None:
            last, result = winner, self._result
        else:
            last, result = self._failures[-1]
        runners = [runner for runner in (self._first, self._second) if runner is not None]
        runners.sort(key=lambda runner: runner is last)
        tried = [(runner.lease.target, runner.outcome) for runner in runners if runner.outcome is not None]
        track.course.raced(tried, winner.lease.target if winner else None)
        track.journal.story.target = last.lease.target
        return result


class _Runner:
    """One attempt in a race, and its way to the client: closed until it has won."""

    def __init__(self, race: Race, lease: Lease, number: int) -> None:
        self.lease = lease
        self.scope = anyio.CancelScope()
        self.outcome: Outcome | None = None
        self.exchange, self.request = race.track.prepare(lease)
        self._race = race
        self._number = number

    def note(self, outcome: Outcome) -> None:
        """Write down how it ended."""
        self.outcome = outcome
        lane = Lane(number=self._number, hedge=self._number > 1)
        self._race.track.journal.attempted(self.lease, outcome, lane)

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin the answer, or wait to be cancelled where the other has begun."""
        if not self._race.wins(self):
            await anyio.sleep_forever()
        await self._race.track.voice.start(status, headers)

    async def write(self, piece: bytes) -> None:
        """Pass a piece of the stream on; only who has begun gets here."""
        await self._race.track.voice.write(piece)
