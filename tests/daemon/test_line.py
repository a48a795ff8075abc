"""The dispatcher's line in virtual time: who waits for something else locks nobody out, and nobody starves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from hypothesis import given
from hypothesis import strategies as st
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


def test_no_workload_starves_another_at_a_provider_that_they_share() -> None:
    """Whoever asks most is served in the order of asking all the same."""
    often, seldom = workload("often", A), workload("seldom", A)

    async def scene(room: Room) -> None:
        assert room.at_once(1, query(often))
        await room.ask(2, query(often))
        await room.ask(3, query(seldom))
        for ticket in range(4, 10):
            await room.ask(ticket, query(often))
        for ticket in range(1, 9):
            await room.give_back(ticket)
            assert room.answered() == list(range(2, ticket + 2))

    in_room(scene, {A: 1})


def test_who_comes_just_as_a_target_is_given_back_waits_behind_another_workloads_line() -> None:
    """Law: among equals who came first is served first, whatever the workload."""
    first, second = workload("first", A), workload("second", A, B)

    async def scene(room: Room) -> None:
        assert room.at_once(1, query(first))
        await room.ask(2, query(first))
        room.box.put(LeaseReleased(ticket=1))
        assert room.at_once(3, query(second)) is None
        await room.ask(3, query(second))
        leases = [await room.replies[ticket].wait() for ticket in (2, 3)]
        assert [each.target for each in leases if isinstance(each, Lease)] == [A, B]

    in_room(scene, {A: 1, B: 1})


def test_a_line_for_one_provider_keeps_nobody_from_the_others() -> None:
    """At once, where no provider is shared; in the same turn, where the one that is shared is not the one that is."""

    async def scene(room: Room) -> None:
        assert room.at_once(1, query(workload("w", A)))
        await room.ask(2, query(workload("w", A)))
        assert room.at_once(3, query(workload("v", B)))
        assert room.at_once(4, query(workload("w", A, B), tried=(A,)))
        assert room.at_once(5, query(workload("v", A, B))) is None
        await room.ask(5, query(workload("v", A, B)))
        assert room.answered() == [5]

    in_room(scene, {A: 1, B: 3})


def test_a_full_line_refuses_nobody_whom_a_free_target_can_take() -> None:
    """Those in line wait for what the request does not need; and where they do not, they come first."""
    asked = workload("w", A, B, max_waiting=1)

    async def scene(room: Room) -> None:
        assert room.at_once(1, query(workload("w", A)))
        await room.ask(2, query(asked, tried=(B,), number=2))
        await room.ask(3, query(asked))
        assert room.answered() == [3]
        room.box.put(LeaseReleased(ticket=1))
        await room.ask(4, query(asked))
        assert all([isinstance(await room.replies[ticket].wait(), Lease) for ticket in (2, 4)])

    in_room(scene, {A: 1, B: 2})


def test_an_escalation_is_nobodys_turn() -> None:
    """Round robin goes on from where the last request began, whatever became of that request."""
    turns = workload("w", A, B, strategy=Strategy.ROUND_ROBIN, escalate=BIG)
    escalated = query(replace(turns, targets=(BIG,)), number=2)

    async def scene(room: Room) -> None:
        asked = [query(turns), escalated, query(turns, number=2, tried=(A,))] * 4
        leases = [room.at_once(ticket, each) for ticket, each in enumerate(asked)]
        assert [each.target for each in leases[::3] if each] == [A, B, A, B]

    in_room(scene, {A: 9, B: 9, BIG: 9})


@given(st.lists(st.sampled_from(["one", "two", "back"]), max_size=60))
def test_whatever_comes_in_whatever_order_equals_are_served_as_they_came(events: list[str]) -> None:
    """Law: the order of leases is the order of asking, over all workloads of one target."""

    async def scene(room: Room) -> None:
        asked, back = 0, 0
        for event in events:
            if event != "back":
                asked += 1
                await room.ask(asked, query(workload(event, A)))
            elif back < len(room.answered()):
                back += 1
                await room.give_back(back)
            assert room.answered() == list(range(1, min(asked, back + 2) + 1))

    in_room(scene, {A: 2})


def test_a_lease_that_ends_another_needs_no_second_place() -> None:
    """Both at one provider that is full: the one asked for takes the place of the one that it ends, in its turn."""
    cheap, dear = TargetName("a/m"), TargetName("a/n")
    escalated = query(workload("w", dear), number=2, instead_of=1)

    async def scene(room: Room) -> None:
        assert room.at_once(1, query(workload("w", cheap)))
        assert room.at_once(2, replace(escalated, instead_of=0)) is None
        await room.ask(3, query(workload("v", cheap)))
        await room.ask(4, escalated)
        assert room.answered() == [4]
        await room.give_back(1)
        assert room.answered() == [4]
        await room.give_back(4)
        assert room.answered() == [3, 4]

    in_room(scene, {cheap: 1, dear: 1})
