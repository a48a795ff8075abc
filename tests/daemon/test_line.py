"""The dispatcher's line in virtual time: who waits for something else locks nobody out, and nobody starves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from msgspec.structs import replace

from daemon.dispatcher import RETRY_RESERVE, Dispatcher
from daemon.routing.leases import Lease, LeaseReleased, LeaseRequested, NoLease, NoLeaseReason, RouteQuery
from daemon.routing.policy import Routes, Strategy, TargetPlace, Workload
from probes.policy import Dialect
from probes.surfaces import Surface
from state.durations import Seconds
from state.mailbox import Mailbox, Reply
from state.messages import HealthPublished
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName, provider_of
from tests.rigs.virtual_time import run_virtual

A, B, BIG = TargetName("a/m"), TargetName("b/m"), TargetName("big/m")


def workload(name: str = "w", *targets: TargetName, **more: object) -> Workload:
    """Return a workload over `targets`, in their order."""
    return Workload(**{"name": name, "targets": targets, "strategy": Strategy.PRIORITY, "max_wait": Seconds(5), **more})


def query(asked: Workload, **more: object) -> RouteQuery:
    """Return an ordinary question for a lease."""
    return RouteQuery(request_id="r", workload=asked, surface=Surface.CHAT, fallback_on=asked.fallback_on, **more)


class Room:
    """A dispatcher, and the replies that its askers wait for."""

    def __init__(self, limits: dict[TargetName, int]) -> None:
        places = {
            target: TargetPlace(provider=provider_of(target), dialect=Dialect.OPENAI, max_in_flight=limit)
            for target, limit in limits.items()
        }
        self.box: Mailbox[object] = Mailbox()
        self.dispatcher = Dispatcher(self.box, Routes(workloads={}, places=places), 1)
        self.replies: dict[int, Reply[Lease | NoLease]] = {}
        self.publish(*(TargetHealth(target=target, standing=Standing.HEALTHY) for target in limits))

    def publish(self, *healths: TargetHealth) -> None:
        """Let the registry say how the targets are."""
        self.box.put(HealthPublished(snapshot=HealthSnapshot(targets={each.target: each for each in healths})))

    def at_once(self, ticket: int, asked: RouteQuery) -> Lease | None:
        """Ask at the counter."""
        return self.dispatcher.grant(ticket, asked, anyio.current_time())

    async def ask(self, ticket: int, asked: RouteQuery) -> None:
        """Ask through the mailbox, and let the dispatcher read it."""
        self.replies[ticket] = Reply()
        self.box.put(LeaseRequested(ticket=ticket, query=asked, reply=self.replies[ticket]))
        await anyio.wait_all_tasks_blocked()

    async def give_back(self, ticket: int) -> None:
        """Give a lease back, and let the dispatcher read it."""
        self.box.put(LeaseReleased(ticket=ticket))
        await anyio.wait_all_tasks_blocked()

    def answered(self) -> list[int]:
        """Return the tickets of those who have an answer, in the order of asking."""
        return [ticket for ticket, reply in self.replies.items() if reply.sent]


def in_room(scene: Callable[[Room], Awaitable[None]], limits: dict[TargetName, int]) -> None:
    """Play a scene with a dispatcher that knows healthy targets, each with so much room."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            room = Room(limits)
            tasks.start_soon(room.dispatcher.run)
            await anyio.wait_all_tasks_blocked()
            await scene(room)
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_who_waits_for_the_stronger_model_keeps_nobody_from_the_others() -> None:
    """An escalation in line says nothing of the targets that it does not ask for."""
    ordinary = workload("w", A, escalate=BIG)
    escalated = query(replace(ordinary, targets=(BIG,)), number=2)

    async def scene(room: Room) -> None:
        assert room.at_once(1, escalated)
        await room.ask(2, escalated)
        await room.ask(3, query(ordinary))
        assert room.answered() == [3]

    in_room(scene, {A: 1, BIG: 1})


def test_a_retry_that_is_not_paid_for_is_refused_at_once_and_takes_no_place_in_line() -> None:
    """An empty retry budget ends the request: the target may be free, but not for a retry."""
    asked = query(workload("w", A, max_waiting=1), number=2, last_resort=A)

    async def scene(room: Room) -> None:
        for ticket in range(int(RETRY_RESERVE)):
            assert room.at_once(ticket, asked)
        await room.ask(100, asked)
        refused = await room.replies[100].wait()
        assert isinstance(refused, NoLease)
        assert (refused.reason, refused.retry_after_s, refused.waited_s) == (NoLeaseReason.EXHAUSTED, None, 0.0)
        await room.ask(101, query(asked.workload))
        assert isinstance(await room.replies[101].wait(), Lease)

    in_room(scene, {A: 100})


def test_a_retry_whose_budget_is_spent_while_it_waits_waits_no_longer() -> None:
    """Who stands in line for a retry is refused as soon as others have used the budget up."""
    waits = query(workload("w", A), number=2, last_resort=A)
    others = query(workload("v", B), number=2, last_resort=B)

    async def scene(room: Room) -> None:
        assert room.at_once(1, query(waits.workload))
        await room.ask(2, waits)
        for ticket in range(10, 10 + int(RETRY_RESERVE)):
            await room.ask(ticket, others)
        assert 2 in room.answered()
        refused = await room.replies[2].wait()
        assert isinstance(refused, NoLease)
        assert refused.reason is NoLeaseReason.EXHAUSTED

    in_room(scene, {A: 1, B: 100})


def test_a_retry_that_may_go_nowhere_else_is_exhausted_without_a_budget() -> None:
    """The other target is no reason to wait where the workload does not fall back on what happened."""
    asked = query(workload("w", A, B), number=2, last_resort=A, elsewhere=False)

    async def scene(room: Room) -> None:
        for ticket in range(int(RETRY_RESERVE)):
            assert room.at_once(ticket, asked)
        await room.ask(100, asked)
        refused = await room.replies[100].wait()
        assert isinstance(refused, NoLease)
        assert refused.reason is NoLeaseReason.EXHAUSTED

    in_room(scene, {A: 100, B: 100})
