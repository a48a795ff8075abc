"""The dispatcher in virtual time: leases never leak, lines are fair, limits hold."""

from __future__ import annotations

import random

import anyio
import pytest

from daemon.dispatcher import Dispatcher
from daemon.lease_desk import LeaseDesk
from daemon.routing.leases import (
    Lease,
    LeaseReleased,
    LeaseRequested,
    NoLease,
    NoLeaseReason,
    RouteQuery,
    RoutesReplaced,
)
from daemon.routing.policy import Routes, Strategy, TargetPlace, Workload
from probes.policy import Dialect
from probes.surfaces import Surface
from state.durations import Seconds
from state.mailbox import Mailbox, Reply
from state.messages import HealthPublished
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName, provider_of
from tests.rigs.virtual_time import run_virtual

A, B = TargetName("a/m"), TargetName("b/m")


def _workload(**more: object) -> Workload:
    return Workload(**{"name": "w", "targets": (A, B), "strategy": Strategy.PRIORITY, **more})


def _routes(*targets: TargetName, max_in_flight: int = 2, dialect: Dialect = Dialect.OPENAI) -> Routes:
    places = {
        target: TargetPlace(provider=provider_of(target), dialect=dialect, max_in_flight=max_in_flight)
        for target in targets or (A, B)
    }
    return Routes(workloads={"w": _workload()}, places=places)


def _snapshot(**healths: TargetHealth) -> HealthPublished:
    targets = {A: TargetHealth(target=A), B: TargetHealth(target=B)}
    targets.update({health.target: health for health in healths.values()})
    return HealthPublished(snapshot=HealthSnapshot(targets=targets))


def _query(workload: Workload | None = None, **more: object) -> RouteQuery:
    return RouteQuery(request_id="r", workload=workload or _workload(), surface=Surface.CHAT, **more)


class _Rig:
    """A dispatcher with its desk."""

    def __init__(self, tasks: anyio.abc.TaskGroup, routes: Routes) -> None:
        self.box: Mailbox[object] = Mailbox()
        self.dispatcher = Dispatcher(self.box, routes, 1)
        self.desk = LeaseDesk(self.box.address)
        tasks.start_soon(self.dispatcher.run)

    async def ask(self, query: RouteQuery, kept: list[object], until: anyio.Event | None = None) -> None:
        """Ask for a lease, note the answer, and hold it until told otherwise."""
        async with self.desk.lease(query) as lease:
            kept.append(lease)
            if until is not None:
                await until.wait()


def test_three_hundred_sessions_cancelled_at_random_leak_no_lease() -> None:
    """Law: whatever is cancelled whenever, every lease comes back."""

    async def main() -> None:
        luck = random.Random(7)
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks, _routes())
            rig.box.put(_snapshot())
            peak = 0

            async def session() -> None:
                nonlocal peak
                with anyio.move_on_after(luck.random() * 3):
                    async with rig.desk.lease(_query()) as lease:
                        if isinstance(lease, Lease):
                            peak = max(peak, *(await rig.desk.view()).in_flight.values())
                            await anyio.sleep(luck.random())

            async with anyio.create_task_group() as sessions:
                for _ in range(300):
                    sessions.start_soon(session)
                    await anyio.sleep(luck.random() * 0.02)
            view = await rig.desk.view()
            assert not any(view.in_flight.values())
            assert not view.waiting
            assert peak == 2
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_waiters_are_served_in_the_order_in_which_they_came() -> None:
    """Law: nobody who comes later overtakes in the same line."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks, _routes(A, max_in_flight=1))
            rig.box.put(_snapshot())
            order: list[int] = []

            async def session(number: int) -> None:
                async with rig.desk.lease(_query(_workload(targets=(A,)))):
                    order.append(number)
                    await anyio.sleep(0.1)

            async with anyio.create_task_group() as sessions:
                for number in range(10):
                    sessions.start_soon(session, number)
                    await anyio.sleep(0.001)
            assert order == list(range(10))
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_who_comes_just_as_a_target_is_given_back_waits_behind_the_line() -> None:
    """Law: a target that is free while others wait for it is a reason to stand in line, not to be refused."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks, _routes(A, max_in_flight=1))
            rig.box.put(_snapshot())
            replies: list[Reply[Lease | NoLease]] = [Reply(), Reply(), Reply()]
            first, second, third = (
                LeaseRequested(ticket=ticket, query=_query(_workload(targets=(A,))), reply=reply)
                for ticket, reply in enumerate(replies)
            )
            rig.box.put(first)
            await replies[0].wait()
            rig.box.put(second)
            await anyio.sleep(0.1)
            rig.box.put(LeaseReleased(ticket=0))
            rig.box.put(third)
            assert isinstance(await replies[1].wait(), Lease)
            assert not replies[2].sent
            rig.box.put(LeaseReleased(ticket=1))
            assert isinstance(await replies[2].wait(), Lease)
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_a_wait_ends_at_its_deadline_with_a_refusal() -> None:
    """Law: `max_wait` bounds the wait, and the request's own deadline too."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks, _routes(A, max_in_flight=1))
            rig.box.put(_snapshot())
            workload = _workload(targets=(A,), max_wait=Seconds(5))
            async with rig.desk.lease(_query(workload)):
                for deadline, waited in ((float("inf"), 5.0), (anyio.current_time() + 7, 2.0)):
                    start = anyio.current_time()
                    async with rig.desk.lease(_query(workload, deadline=deadline)) as refused:
                        assert isinstance(refused, NoLease)
                        assert refused.reason is NoLeaseReason.NO_TARGET
                        assert anyio.current_time() - start == pytest.approx(waited)
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_a_full_line_refuses_at_once() -> None:
    """Law: at most `max_waiting` wait."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks, _routes(A, max_in_flight=1))
            rig.box.put(_snapshot())
            workload = _workload(targets=(A,), max_waiting=1)
            async with rig.desk.lease(_query(workload)):
                answers: list[object] = []
                tasks.start_soon(rig.ask, _query(workload), answers)
                await anyio.sleep(0.1)
                async with rig.desk.lease(_query(workload)) as refused:
                    assert isinstance(refused, NoLease)
                    assert refused.reason is NoLeaseReason.QUEUE_FULL
            tasks.cancel_scope.cancel()

    run_virtual(main)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"tried": (A, B), "number": 3}, NoLeaseReason.EXHAUSTED),
        ({"surface": Surface.MESSAGES}, NoLeaseReason.INCOMPATIBLE),
    ],
)
def test_what_waiting_cannot_help_is_refused_at_once(query: dict[str, object], reason: NoLeaseReason) -> None:
    """Law: a request that no target will ever take does not stand in line."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks, _routes())
            rig.box.put(_snapshot())
            start = anyio.current_time()
            base = {"request_id": "r", "workload": _workload(), "surface": Surface.CHAT}
            async with rig.desk.lease(RouteQuery(**{**base, **query})) as refused:
                assert isinstance(refused, NoLease)
                assert refused.reason is reason
                assert anyio.current_time() == start
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_a_target_on_probation_admits_one_request_at_a_time() -> None:
    """Law: the trial is a lease, and there is only one."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks, _routes())
            rig.box.put(_snapshot(a=TargetHealth(target=A, standing=Standing.PROBATION)))
            async with rig.desk.lease(_query()) as trial, rig.desk.lease(_query()) as other:
                assert isinstance(trial, Lease)
                assert isinstance(other, Lease)
                assert (trial.target, other.target) == (A, B)
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_a_block_that_ends_lets_the_line_go_on() -> None:
    """Law: a rate limit is waited out, neither longer nor shorter."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks, _routes(A))
            until = anyio.current_time() + 3
            rig.box.put(_snapshot(a=TargetHealth(target=A, blocked_until=until)))
            async with rig.desk.lease(_query(_workload(targets=(A,)))) as lease:
                assert isinstance(lease, Lease)
                assert anyio.current_time() == pytest.approx(until)
                assert lease.waited_s == pytest.approx(3)
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_a_refusal_tells_when_a_target_may_be_ready() -> None:
    """Law: a cooldown longer than the wait is told as `retry_after_s`, at once."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks, _routes(A))
            now = anyio.current_time()
            cooling = TargetHealth(target=A, standing=Standing.COOLING, until=now + 30, cause="a test")
            rig.box.put(_snapshot(a=cooling))
            async with rig.desk.lease(_query(_workload(targets=(A,)))) as refused:
                assert isinstance(refused, NoLease)
                assert refused.retry_after_s == pytest.approx(30)
                assert anyio.current_time() == now
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_before_the_first_snapshot_requests_wait() -> None:
    """Law: a start-up refuses nobody."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks, _routes())
            answers: list[object] = []
            tasks.start_soon(rig.ask, _query(), answers)
            await anyio.sleep(1)
            assert not answers
            rig.box.put(_snapshot())
            await anyio.sleep(1)
            assert isinstance(answers[0], Lease)
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_leases_survive_a_reload() -> None:
    """Law: what is in flight stays counted when the routes are replaced."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks, _routes())
            rig.box.put(_snapshot())
            async with rig.desk.lease(_query()):
                rig.box.put(RoutesReplaced(routes=_routes()))
                assert (await rig.desk.view()).in_flight[A] == 1
            assert (await rig.desk.view()).in_flight[A] == 0
            tasks.cancel_scope.cancel()

    run_virtual(main)
