"""Rate limits as capacity: what a provider has told is kept, waited for, and gone around before it refuses."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import msgspec
import pytest

from daemon.control.picture import target_picture
from daemon.dispatcher import Dispatcher
from daemon.lease_desk import LeaseDesk
from daemon.rehearsals import Rehearsal
from daemon.relay.calls import Answer
from daemon.routing.availability import available_targets
from daemon.routing.leases import Lease, NoLease, RouteQuery, RoutesReplaced
from daemon.routing.policy import Routes, Strategy, TargetPlace, Workload
from probes.policy import Dialect
from probes.surfaces import Surface
from state.durations import Seconds
from state.faults import Fault
from state.mailbox import Mailbox
from state.messages import HealthPublished
from state.policy import HealthPolicy
from state.quota import Allowance, Headroom, Quota
from state.registry import Registry
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName, provider_of
from tests.rigs.bodies import STREAM, said
from tests.rigs.metered import metered
from tests.rigs.peers import Script, Send
from tests.rigs.peers import answer as whole
from tests.rigs.relay import QUICK, Relay, relay
from tests.rigs.virtual_time import START, run_virtual

A, B = TargetName("a/m"), TargetName("b/m")
FALLS_BACK = (Fault.RATE_LIMITED,)


def _workload(*targets: TargetName, **more: object) -> Workload:
    return Workload(**{"name": "w", "targets": targets or (A, B), "strategy": Strategy.PRIORITY, **more})


def _query(*targets: TargetName, **more: object) -> RouteQuery:
    base = {"request_id": "r", "workload": _workload(*targets), "surface": Surface.CHAT, "fallback_on": FALLS_BACK}
    return RouteQuery(**{**base, **more})


def _quota(remaining: float, ordinal: int = 0, at: float = START, reset_s: float = 3.0) -> Quota:
    return Quota().after(Headroom(Allowance(remaining, reset_s, 60)), ordinal, at)


class _Rig:
    """A dispatcher with its desk, and a hand on what it is told of health."""

    def __init__(self, tasks: anyio.abc.TaskGroup) -> None:
        places = {
            target: TargetPlace(provider=provider_of(target), dialect=Dialect.OPENAI, max_in_flight=99)
            for target in (A, B)
        }
        self.routes = Routes(workloads={"w": _workload()}, places=places)
        self.box: Mailbox[object] = Mailbox()
        self.desk = LeaseDesk(self.box.address)
        tasks.start_soon(Dispatcher(self.box, self.routes, 1).run)

    async def publish(self, **more: object) -> None:
        """Let the dispatcher know A as it is described."""
        healths = {A: TargetHealth(target=A, standing=Standing.HEALTHY, **more), B: TargetHealth(target=B)}
        self.box.put(HealthPublished(snapshot=HealthSnapshot(targets=healths)))
        await anyio.wait_all_tasks_blocked()

    async def targets(self, count: int, query: RouteQuery) -> list[TargetName]:
        """Return where `count` requests would go one after the other."""
        went: list[TargetName] = []
        for _ in range(count):
            async with self.desk.lease(query) as lease:
                assert isinstance(lease, Lease)
                went.append(lease.target)
        return went


def test_a_target_with_three_left_gets_exactly_three_before_others_are_used() -> None:
    """Law: the provider is not asked for what it has said it will refuse."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks)
            await rig.publish(quota=_quota(3))
            assert await rig.targets(6, _query()) == [A, A, A, B, B, B]
            choice = await rig.desk.preview(_query())
            assert choice.candidates[0].skipped == "rate limit reached: resets in 3.0s"
            assert "a/m is passed over" in choice.reason
            view = await rig.desk.view()
            assert available_targets(_workload(), view, anyio.current_time()) == (B,)
            shown = target_picture(view.snapshot.targets[A], view, anyio.current_time())["headroom"]
            assert shown == {"requests": {"left": 0.0, "limit": 60, "resets_in_s": 3.0}, "tokens": None}
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_waiters_are_served_at_the_reset_one_first_and_the_others_at_its_answer() -> None:
    """Law: nobody is sent before the reset, one exactly at it, and news lets the others go."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks)
            await rig.publish(quota=_quota(0))
            patient = _query(workload=_workload(A, max_wait=Seconds(9)))
            served: list[tuple[float, int]] = []
            done = anyio.Event()

            async def session() -> None:
                async with rig.desk.lease(patient) as lease:
                    assert isinstance(lease, Lease)
                    served.append((anyio.current_time() - START, lease.ordinal))
                    await done.wait()

            for _ in range(4):
                tasks.start_soon(session)
            await anyio.sleep(2.9)
            assert served == []
            await anyio.sleep(1.1)
            assert served == [(pytest.approx(3.0), 1)]
            await rig.publish(quota=_quota(2, ordinal=1, at=START + 4))
            assert [ordinal for _, ordinal in served] == [1, 2, 3]
            await anyio.sleep(0.9)
            assert len(served) == 3
            done.set()
            await anyio.sleep(3)
            assert served[3] == (pytest.approx(7.0), 4)
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_who_cannot_wait_for_the_reset_is_refused_at_once_and_told_when() -> None:
    """Law: a limit beyond the wait is no reason to stand in line."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks)
            await rig.publish(quota=_quota(0, reset_s=20.0))
            async with rig.desk.lease(_query(A)) as refused:
                assert isinstance(refused, NoLease)
                assert refused.retry_after_s == pytest.approx(20.0)
                assert anyio.current_time() == START
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_a_workload_that_does_not_fall_back_on_rate_limits_waits_for_its_first_target() -> None:
    """Law: a limit that is reached is no other reason than a refusal for it."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks)
            await rig.publish(quota=_quota(0))
            async with rig.desk.lease(_query(fallback_on=())) as lease:
                assert isinstance(lease, Lease)
                assert (lease.target, anyio.current_time()) == (A, pytest.approx(START + 3))
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_a_large_request_goes_elsewhere_where_a_small_one_still_fits() -> None:
    """Law: tokens are capacity as well as requests."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks)
            quota = Quota().after(Headroom(tokens=Allowance(1000, 30, 9000)), 0, START)
            await rig.publish(quota=quota)
            sizes = (600, 600, 300, 200, 100)
            went = [(await rig.targets(1, _query(tokens=size)))[0] for size in sizes]
            assert went == [A, B, A, B, A]
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_after_a_guessed_block_one_request_at_a_time_finds_out() -> None:
    """Law: what was under way before is no trial, and one trial is enough until it has an answer."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks)
            await rig.publish()
            async with rig.desk.lease(_query()):
                await rig.publish(unsure=True)
                async with rig.desk.lease(_query()) as trial:
                    assert isinstance(trial, Lease)
                    assert (trial.target, trial.trial) == (A, True)
                    assert await rig.targets(2, _query()) == [B, B]
                    await rig.publish()
                    assert await rig.targets(2, _query()) == [A, A]
            await rig.publish(unsure=True)
            assert await rig.targets(2, _query()) == [A, A]
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_a_reload_keeps_the_count() -> None:
    """Law: the provider goes on counting, whatever we read from a file."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks)
            await rig.publish(quota=_quota(2))
            assert await rig.targets(1, _query()) == [A]
            rig.box.put(RoutesReplaced(routes=rig.routes))
            assert await rig.targets(2, _query()) == [A, B]
            tasks.cancel_scope.cancel()

    run_virtual(main)


def _telling(script: Script, *headers: str) -> Script:
    (sent,) = script
    assert isinstance(sent, Send)
    first, _, rest = sent.data.partition(b"\r\n")
    return [Send(b"\r\n".join([first, *(header.encode() for header in headers), rest]))]


def test_a_stream_tells_of_its_limits_before_it_ends() -> None:
    """The registry hears it with the first content, and nothing else of it at the end."""

    async def main() -> None:
        told = ("x-ratelimit-remaining-requests: 7", "x-ratelimit-reset-requests: 6s")
        async with relay(_telling(STREAM, *told)) as (one, _):
            await one.send(streamed=True)
            begun, ended = one.evidence.take_all()
            assert (begun.ordinal, begun.headroom.requests) == (1, Allowance(7, 6))
            assert (ended.ordinal, ended.outcome.headroom.requests) == (1, Allowance(7, 6))
            assert ended.outcome.headroom.age_s >= begun.headroom.age_s

    anyio.run(main, backend_options={"use_uvloop": True})


def test_an_answer_tells_of_its_limits_and_one_that_does_not_costs_nothing() -> None:
    """Plain answers tell once, silent ones never."""

    async def main() -> None:
        async with relay((_telling(said("hi"), "x-ratelimit-remaining: 7"), STREAM)) as (one, _):
            await one.send()
            await one.send(streamed=True)
            plain, begun, streamed = one.evidence.take_all()
            assert (begun.ordinal, begun.headroom) == (2, None)
            assert (plain.ordinal, plain.outcome.headroom.requests) == (1, Allowance(7))
            assert (streamed.ordinal, streamed.outcome.headroom) == (2, None)

    anyio.run(main, backend_options={"use_uvloop": True})


def test_a_refusal_s_exact_reset_is_preferred_to_its_rounded_retry_after() -> None:
    """A second is long where 120 ms were meant."""

    async def main() -> None:
        told = ("retry-after: 1", "x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 120ms")
        refusal = [Send(whole(b"{}", "content-type: application/json", *told, status="429 Too Many Requests"))]
        async with relay(refusal) as (one, _):
            await one.send(fallback_allowed=False)
            assert one.evidence.take_all()[0].outcome.retry_after_s == 0.12

    anyio.run(main, backend_options={"use_uvloop": True})


def test_a_rehearsal_uses_up_nothing() -> None:
    """Nobody was asked: what was counted for it is given back."""

    async def main() -> None:
        async with relay(STREAM) as (one, _):
            one.rehearsals.order(Rehearsal(workload="w", fault=Fault.TIMEOUT, count=1, by="a test"))
            await one.send()
            (spared,) = one.evidence.take_all()
            assert (spared.ordinal, spared.tokens) == (1, 11)

    anyio.run(main, backend_options={"use_uvloop": True})


def test_fifty_requests_provoke_no_refusal_of_a_provider_that_tells_its_headroom() -> None:
    """Law: five abreast, over windows of eight, everyone is answered and nobody refused."""

    async def main() -> None:
        async with metered(8, 0.3) as meter, anyio.create_task_group() as tasks:
            one = Relay([meter], Dialect.OPENAI, QUICK)
            policies = {target: HealthPolicy() for target in one.workload.targets}
            registry = Registry(one.evidence, one.box.address, one.rows.address, policies, {})
            for actor in (registry, one.dispatcher, one.sweep):
                tasks.start_soon(actor.run)
            patient = msgspec.structs.replace(one.workload, max_wait=Seconds(5.0))
            statuses: list[int] = []

            async def client() -> None:
                for _number in range(10):
                    for _ in range(4):  # a client on a socket is never back within the same turn of the loop
                        await anyio.lowlevel.checkpoint()
                    answer = await one.send(workload=patient)
                    assert isinstance(answer, Answer)
                    statuses.append(answer.status)

            with anyio.fail_after(20):
                async with anyio.create_task_group() as clients:
                    for _ in range(5):
                        clients.start_soon(client)
            assert statuses == [200] * 50
            assert (len(meter.admitted), meter.refused) == (50, 0)
            assert meter.admitted[-1] - meter.admitted[0] < 0.3 * 50 / 8 + 1.5, "and no longer than the limit asks"
            await one.wires.aclose()
            tasks.cancel_scope.cancel()

    anyio.run(main, backend_options={"use_uvloop": True})
