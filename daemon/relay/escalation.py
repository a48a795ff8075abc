"""From an answer that does not do to a stronger target: what it lacks, who is asked, and what is given if they fail."""

from __future__ import annotations

from functools import partial

import msgspec

from daemon.lease_desk import Held
from daemon.relay.admission import set_aside
from daemon.relay.audition import Audition
from daemon.relay.calls import Client, Failed, Streamed, Wanting, Whole
from daemon.relay.course import Course
from daemon.relay.gear import Surroundings
from daemon.relay.journal import Journal, Told
from daemon.routing.leases import Lease, NoLease
from probes.dialects.quality import lacking
from probes.dialects.saying import said_of
from state.targets import TargetName

__all__ = ["Escalation"]


class _Kept(msgspec.Struct, frozen=True):
    """An answer that did not do, for the case that no better one comes."""

    origin: TargetName
    told: Told
    """What the journal told of fallbacks before."""
    result: Wanting | Failed


class Escalation:
    """Judges the answers of one request, and finds who betters them. Owned by its session."""

    def __init__(self, around: Surroundings, course: Course, journal: Journal) -> None:
        """Judge for `course`; nothing has been escalated."""
        self._around = around
        self._course = course
        self._journal = journal
        self._held: Held | None = None
        self._kept: _Kept | None = None
        self._lack = ""
        """What the stream lacks that was given up last, until another target is asked."""

    async def lack_of(self, answer: Whole) -> str | None:
        """Return what a whole answer lacks that a stronger target is there for; None where it is given as it is."""
        call, origin = self._course.call, self._journal.story.target
        if origin is None or not self._course.stronger_than(origin):
            return None
        policy = call.workload.cascade
        if policy is None:
            return lacking(call.surface, call.body, answer.body)
        from probes.dialects.judging import judge  # noqa: PLC0415 - cascades alone judge

        found = judge(policy, call.surface, call.body, answer.body)
        if found is not None or not policy.command:
            return found
        return await self._around.checks.lack(policy, call.workload.name, said_of(call.surface, answer.body).text)

    def audition(self, lease: Lease) -> Audition | None:
        """Return who judges the stream of an attempt; None where it is not held back, as at the last target."""
        call, course = self._course.call, self._course
        policy = call.workload.cascade
        if policy is None or not call.streamed or not policy.hold_back or course.continued:
            return None
        if not course.may_escalate_after_next or not course.stronger_than(lease.target):
            return None
        return Audition(call, policy, self._around.checks, partial(self._ready, lease))

    async def _ready(self, lease: Lease, lack: str) -> bool:
        """Get the lease of a costlier target in place of `lease`; return whether there is one."""
        query = self._course.replacement(lease, lack)
        held = self._around.desk.lease(query)
        answer = await held.ask()
        if isinstance(answer, NoLease):
            self._journal.decided(answer.choice, query.number)
            held.give_back()
            return False
        self._held = held
        if await set_aside(self._journal, answer) is not None:
            self.drop()
        return self._held is not None

    def next_lease(self) -> Held:
        """Return the lease that the next attempt is to have: the one that is there already, or one to ask for."""
        held, self._held = self._held, None
        return held or self._around.desk.lease(self._course.query())

    def take_lack(self) -> str:
        """Return, once, what the stream lacks that was given up last; empty where none was."""
        lack, self._lack = self._lack, ""
        return lack

    def drop(self) -> None:
        """Give back what was got for an attempt that never came."""
        if self._held is not None:
            self._held.give_back()
            self._held = None

    def keep(self, result: Wanting | Failed) -> None:
        """Keep what is to be given if no better answer comes: the newest that has come whole."""
        if isinstance(result, Wanting):
            self._lack = result.lack
            if result.give is None:
                return
        self._kept = _Kept(self._course.tried[-1][0], self._journal.told, result)

    async def give_kept(self, client: Client) -> Streamed | None:
        """Give the stream that was kept, None where there is none."""
        kept = self._kept
        if kept is None or not isinstance(kept.result, Wanting) or kept.result.give is None:
            return None
        self._journal.came_back(kept.origin, kept.told)
        return await kept.result.give(client)

    def failure(self, latest: Failed) -> Failed:
        """Return the failure to end with: the refusal that was to be bettered, if one was, else the `latest`."""
        kept = self._kept
        if kept is None or not isinstance(kept.result, Failed) or kept.result is latest:
            return latest
        self._journal.came_back(kept.origin, kept.told)
        return kept.result
