"""When a hedge is worth it, what all of them may cost, and how the dispatcher grants them."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from daemon.lease_desk import LeaseDesk
from daemon.replay.setting import unpacked
from daemon.routing.hedging import HEDGE_MOST, HEDGE_SHARE, HEDGE_START, HedgeBudget, hedge_after, hedge_helps
from daemon.routing.leases import Candidate, Lease, NoLease, NoLeaseReason, RouteQuery, UnderWay
from daemon.routing.policy import Routes, Strategy, TargetPlace, Workload
from probes.policy import Dialect
from probes.surfaces import Surface
from state.mailbox import Mailbox
from state.messages import HealthPublished
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName, provider_of
from tests.rigs.hedging import FiguredDispatcher, figures
from tests.rigs.virtual_time import run_virtual

A, B, C = TargetName("a/m"), TargetName("b/m"), TargetName("c/m")
WORKLOAD = Workload(name="w", targets=(A, B), strategy=Strategy.PRIORITY, hedge=True, max_waiting=9)
FIRST = RouteQuery(request_id="r", workload=WORKLOAD, surface=Surface.CHAT, streamed=True, may_hedge=True)


def _candidate(target: TargetName = A, score: float | None = 1.0, **terms: float) -> Candidate:
    return Candidate(target=target, score=score, terms=figures(**terms))


@pytest.mark.parametrize(
    ("own", "other", "after_s"),
    [
        ({"p99_s": 2.0}, {}, 2.0),
        ({"p99_s": 2.0, "wait_s": 0.5}, {}, 2.5),
        ({"p99_s": 0.02}, {}, 0.1),
        ({"p99_s": 2.0, "generation_s": 1.0}, {"first_s": 4.0, "generation_s": 3.0}, 6.0),
    ],
)
def test_a_hedge_waits_for_the_slow_end_of_what_is_usual(
    own: dict[str, float], other: dict[str, float], after_s: float
) -> None:
    """Its 99th percentile and its queue; longer where the other is so slow that starting anew would take longer."""
    assert hedge_after(_candidate(**own), [_candidate(B, **other)]) == pytest.approx(after_s)


def test_nothing_is_hedged_of_which_too_little_is_known() -> None:
    """Without a figure, or without somebody else who could take it, there is no hedge."""
    own = _candidate()
    assert hedge_after(own, []) is None
    assert hedge_after(own, [_candidate(B, score=None)]) is None
    assert hedge_after(own, [Candidate(target=B, score=1.0, terms={"unknown": 1.0})]) is None
    for name in ("first_p99_s", "generation_s"):
        terms = {each: value for each, value in own.terms.items() if each != name}
        assert hedge_after(replace(own, terms=terms), [_candidate(B)]) is None


def test_the_best_of_the_others_counts() -> None:
    """The runner-up is whom the hedge would go to."""
    others = [_candidate(B, first_s=50.0), _candidate(C, first_s=1.0)]
    assert hedge_after(_candidate(p99_s=2.0), others) == 2.0


def test_a_hedge_helps_where_the_runner_up_would_be_done_before_the_first() -> None:
    """By the first's age and what it still has to write."""
    own = _candidate(generation_s=1.0)
    assert hedge_helps(own, _candidate(B, first_s=1.0, generation_s=1.0), 1.0)
    assert not hedge_helps(own, _candidate(B, first_s=1.1, generation_s=1.0), 1.0)
    assert not hedge_helps(own, None, 99.0)
    assert not hedge_helps(own, Candidate(target=B, score=0.0), 99.0)


def test_the_budget_saves_up_to_its_limit_and_never_goes_below_nothing() -> None:
    """A quiet night pays for a few hedges, not for a storm."""
    budget = HedgeBudget()
    for _ in range(1000):
        budget = budget.after_request()
    assert budget.left == HEDGE_MOST
    for _ in range(int(HEDGE_MOST)):
        budget = budget.after_hedge()
    assert budget.left == 0.0
    assert budget.after_hedge() is None


class _Rig:
    """A dispatcher with figures, asked through its mailbox or at its counter."""

    def __init__(
        self, tasks: anyio.abc.TaskGroup, standing: Standing = Standing.HEALTHY, max_in_flight: int = 9
    ) -> None:
        place = {"dialect": Dialect.OPENAI, "max_in_flight": max_in_flight}
        places = {target: TargetPlace(provider=provider_of(target), **place) for target in (A, B)}
        self.box: Mailbox[Any] = Mailbox()
        self.dispatcher = FiguredDispatcher(self.box, Routes(workloads={"w": WORKLOAD}, places=places), 1)
        self.dispatcher.figures = {A: figures(p99_s=0.5), B: figures()}
        self.desk = LeaseDesk(self.box.address, self.dispatcher)
        self.distant = LeaseDesk(self.box.address)
        healths = {A: TargetHealth(target=A, standing=Standing.HEALTHY), B: TargetHealth(target=B, standing=standing)}
        self.box.put(HealthPublished(snapshot=HealthSnapshot(targets=healths)))
        tasks.start_soon(self.dispatcher.run)


def _beside(lease: Lease, since: float, query: RouteQuery = FIRST) -> RouteQuery:
    own = next(each for each in lease.choice.candidates if each.target == lease.target)
    return replace(query, number=2, tried=(lease.target,), may_hedge=False, hedges=UnderWay(own, since))


def test_over_a_thousand_requests_hedges_stay_within_six_in_a_hundred_and_the_reserve() -> None:
    """Every request wants one; what was saved is spent at once, and then each earns its share."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks)
            sent = 0
            for _ in range(1000):
                async with rig.distant.lease(FIRST) as first:
                    began = anyio.current_time()
                    assert first.hedge_after_s == 0.5
                    await anyio.sleep(first.hedge_after_s)
                    async with rig.distant.lease(_beside(first, began)) as second:
                        sent += isinstance(second, Lease)
                        assert isinstance(second, Lease) or second.reason is NoLeaseReason.NO_HEDGE
            assert 1000 * HEDGE_SHARE <= sent <= HEDGE_START + 1000 * HEDGE_SHARE
            assert not any((await rig.desk.view()).in_flight.values())
            tasks.cancel_scope.cancel()

    run_virtual(main)


@pytest.mark.parametrize("standing", [Standing.UNPROVEN, Standing.PROBATION, Standing.COOLING])
def test_a_hedge_goes_to_nobody_who_has_yet_to_show_himself(standing: Standing) -> None:
    """It is refused at once, and the budget keeps what it had."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks, standing)
            async with rig.distant.lease(FIRST) as first:
                since = anyio.current_time() - 9.0
                async with rig.distant.lease(_beside(first, since)) as second:
                    assert isinstance(second, NoLease)
                    assert second.reason is NoLeaseReason.NO_HEDGE
                assert anyio.current_time() == since + 9.0
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_a_hedge_never_waits_in_line_and_never_goes_before_those_who_do() -> None:
    """Where the only other target is taken, or somebody waits for it, the hedge is refused at once."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks, max_in_flight=1)
            only_b = replace(FIRST, tried=(A,))
            async with (
                rig.distant.lease(FIRST) as first,
                rig.distant.lease(only_b),
                anyio.create_task_group() as waiting,
            ):
                now = anyio.current_time()
                async with rig.distant.lease(_beside(first, now - 9.0)) as second:
                    assert isinstance(second, NoLease)
                waiting.start_soon(_hold, rig, only_b)
                await _until_waiting(rig)
                async with rig.distant.lease(_beside(first, now - 9.0)) as second:
                    assert isinstance(second, NoLease)
                assert anyio.current_time() == now
                waiting.cancel_scope.cancel()
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_a_hedge_is_chosen_and_reasoned_by_the_same_code_as_a_replay() -> None:
    """The reason of a hedge follows from its question: made again, it is the same."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks)
            since = anyio.current_time() - 9.0
            async with rig.distant.lease(FIRST) as first, rig.distant.lease(_beside(first, since)) as second:
                assert isinstance(second, Lease)
                setting = second.choice.setting
                assert setting is not None
                assert second.choice.reason.startswith("a hedge: ")
                assert unpacked(setting.packed()).query.hedges is not None
            tasks.cancel_scope.cancel()

    run_virtual(main)


async def _hold(rig: _Rig, query: RouteQuery) -> None:
    async with rig.distant.lease(query):
        await anyio.sleep_forever()


async def _until_waiting(rig: _Rig) -> None:
    while not (await rig.desk.view()).waiting:
        await anyio.lowlevel.checkpoint()


def test_a_hedge_that_would_be_slower_than_the_first_is_refused_at_the_counter_too() -> None:
    """The session asks on its own turn, and hears at once."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks)
            await rig.desk.view()
            now = anyio.current_time()
            first = rig.dispatcher.grant(1, FIRST, now)
            late = rig.dispatcher.grant(2, _beside(first, now), now)
            rig.dispatcher.figures = {**rig.dispatcher.figures, B: figures(first_s=30.0)}
            slow = rig.dispatcher.grant(3, _beside(first, now - 9.0), now)
            assert isinstance(slow, NoLease)
            assert isinstance(late, NoLease)
            rig.dispatcher.figures = {A: figures(), B: figures()}
            good = rig.dispatcher.grant(4, _beside(first, now - 9.0), now)
            assert isinstance(good, Lease)
            assert (good.target, good.hedge_after_s) == (B, None)
            assert good.choice.reason == "a hedge: a/m has said nothing for 9.00 s"
            tasks.cancel_scope.cancel()

    run_virtual(main)


def test_a_whole_answer_is_not_called_silent_while_it_is_being_written() -> None:
    """Its hedge comes later by what the writing takes; where none is wanted there is no time for one."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            rig = _Rig(tasks)
            await rig.desk.view()
            times = [
                rig.dispatcher.grant(ticket, query, 0.0).hedge_after_s
                for ticket, query in enumerate([FIRST, replace(FIRST, streamed=False), replace(FIRST, may_hedge=False)])
            ]
            assert times == [0.5, pytest.approx(0.55), None]
            tasks.cancel_scope.cancel()

    run_virtual(main)
