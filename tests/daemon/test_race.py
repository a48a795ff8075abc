"""Hedged requests on real sockets: who wins, what becomes of the loser, and what is written down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from daemon.rehearsals import Rehearsal
from daemon.relay.calls import Answer, ClientLeft
from daemon.routing.policy import StreamRecovery, Workload
from probes.policy import Timeouts
from probes.surfaces import Surface
from state.durations import Seconds
from state.faults import Blame, Fault
from state.history.rows import AttemptRow, DecisionRow, FallbackRow, RequestRow
from state.messages import AttemptCompleted
from tests.rigs.bodies import CUT, ROLE, SSE, STREAM, WELL, done, error, said, word
from tests.rigs.hedging import figures
from tests.rigs.peers import Close, Gate, Peer, Script, Send, chunk
from tests.rigs.relay import Recorded, Relay, relay

PATIENT = Timeouts(connect=Seconds(2), first_byte=Seconds(2), idle=Seconds(2), total=Seconds(5))
SILENT: Script = []
WELL_BODY = WELL[0].data.partition(b"\r\n\r\n")[2]
AT_ONCE_S = 0.1
"""Within which a cancellation is to be seen at the other end of the socket."""


def _run(main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend_options={"use_uvloop": True})


def _hedged(one: Relay, **more: Any) -> Workload:
    """Return the workload with hedging on, and let something be expected of each target."""
    one.dispatcher.figures = {target: figures() for target in one.workload.targets}
    return replace(one.workload, hedge=True, **more)


async def _seen_to_leave(peer: Peer) -> None:
    """Wait until the peer has seen its client close the connection."""
    with anyio.fail_after(AT_ONCE_S):
        await peer.left.wait()


def _attempts(one: Relay) -> list[tuple[int, str, str | None, bool]]:
    rows = sorted(one.all_rows(AttemptRow), key=lambda row: row.number)
    return [(row.number, row.target, row.outcome.fault, row.hedge) for row in rows]


def _hedges(one: Relay, outcome: str) -> float | None:
    return one.metrics._registry.get_sample_value("fairlead_hedges_total", {"workload": "w", "outcome": outcome})


@pytest.mark.parametrize("streamed", [False, True])
def test_a_silent_first_is_outrun_and_sees_its_socket_close(streamed: bool) -> None:  # noqa: FBT001
    """The hedge's bytes and no others; the loser is cancelled at its socket, is no fallback."""

    async def main() -> None:
        async with relay(SILENT, STREAM if streamed else WELL, timeouts=PATIENT) as (one, (slow, _)):
            client = Recorded()
            reply = await one.send(client, streamed=streamed, workload=_hedged(one))
            await _seen_to_leave(slow)
            headers = client.headers if reply is None else reply.headers
            body = client.body if reply is None else reply.body
            assert body == (ROLE + word("well ") + word("said") + done() if streamed else WELL_BODY)
            assert headers["fairlead-target"] == "p1/m"
            assert (headers["fairlead-hedged"], headers["fairlead-attempts"]) == ("won", "2")
            assert "fairlead-fallback-from" not in headers
            assert "fairlead-degraded" not in headers
            assert _attempts(one) == [(1, "p0/m", "cancelled", False), (2, "p1/m", None, True)]
            assert not one.all_rows(FallbackRow)
            request = one.row(RequestRow)
            assert (request.outcome, request.served_by, request.attempts) == ("ok", "p1/m", 2)
            assert [row.number for row in one.all_rows(DecisionRow)] == [1, 2]
            assert _hedges(one, "won") == 1
            assert await one.idle()

    _run(main)


def test_the_loser_is_evidence_of_how_long_it_said_nothing_and_of_nothing_else() -> None:
    """Blame is our own, so that no standing changes; how long it was silent is told for the estimate."""

    async def main() -> None:
        async with relay(SILENT, WELL, timeouts=PATIENT) as (one, _):
            await one.send(workload=_hedged(one))
            told = {each.target: each for each in one.evidence._waiting if isinstance(each, AttemptCompleted)}
            lost = told["p0/m"]
            assert (lost.outcome.fault, lost.outcome.blame) == (Fault.CANCELLED, Blame.OURSELVES)
            assert lost.outcome.reason == "hedge: the other answered first"
            assert not lost.outcome.counts
            assert lost.outcome.first_byte_s is None
            assert 0.1 <= lost.outcome.latency_s < 1.0

    _run(main)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_hedge_that_is_slower_than_the_first_is_cancelled(streamed: bool) -> None:  # noqa: FBT001
    """The first answers while the hedge waits: the first's bytes, and the hedge sees its socket close."""

    async def main() -> None:
        held = anyio.Event()
        async with relay([Gate(held), *(STREAM if streamed else WELL)], SILENT, timeouts=PATIENT) as (one, (_, late)):
            client, replies = Recorded(), []
            async with anyio.create_task_group() as tasks:

                async def send() -> None:
                    replies.append(await one.send(client, streamed=streamed, workload=_hedged(one)))
                    await _seen_to_leave(late)

                tasks.start_soon(send)
                await _until(lambda: bool(late.heard))
                held.set()
            headers = client.headers if replies[0] is None else replies[0].headers
            assert (headers["fairlead-target"], headers["fairlead-hedged"]) == ("p0/m", "lost")
            assert _attempts(one) == [(1, "p0/m", None, False), (2, "p1/m", "cancelled", True)]
            assert _hedges(one, "lost") == 1
            assert await one.idle()

    _run(main)


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        await anyio.lowlevel.checkpoint()


def test_the_loser_gives_its_lease_back_while_the_winner_still_streams() -> None:
    """A stream may take minutes; the slot of the one that lost is free at once."""

    async def main() -> None:
        held = anyio.Event()
        begun = Send(SSE + chunk(ROLE) + chunk(word("once ")))
        rest = [Send(chunk(word("more")) + chunk(done()) + b"0\r\n\r\n")]
        async with relay(SILENT, [begun, Gate(held), *rest], timeouts=PATIENT) as (one, (slow, _)):
            client = Recorded()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: one.send(client, streamed=True, workload=_hedged(one)))
                await _until(lambda: bool(client.pieces))
                await _seen_to_leave(slow)
                view = await one.desk.view()
                assert {target: count for target, count in view.in_flight.items() if count} == {"p1/m": 1}
                held.set()
            assert client.body == ROLE + word("once ") + word("more") + done()
            assert await one.idle()

    _run(main)


def test_no_hedge_is_sent_where_the_first_answers_in_time() -> None:
    """Nearly always: one attempt, one call, no header."""

    async def main() -> None:
        async with relay(WELL, WELL) as (one, (_, other)):
            reply = await one.send(workload=_hedged(one))
            assert isinstance(reply, Answer)
            assert "fairlead-hedged" not in reply.headers
            assert not other.heard
            assert _attempts(one) == [(1, "p0/m", None, False)]
            assert await one.idle()

    _run(main)


def test_a_hedge_that_is_refused_leaves_the_first_to_itself() -> None:
    """The other is so slow that waiting on is quicker by now: one call, no header, and a count of the refusal."""

    async def main() -> None:
        held = anyio.Event()
        async with relay([Gate(held), *WELL], WELL, timeouts=PATIENT) as (one, (first, other)):
            workload, replies = _hedged(one), []
            async with anyio.create_task_group() as tasks:

                async def send() -> None:
                    replies.append(await one.send(workload=workload))

                tasks.start_soon(send)
                await _until(lambda: bool(first.heard))
                one.dispatcher.figures = {target: figures(first_s=9.0) for target in one.workload.targets}
                await _until(lambda: _hedges(one, "refused") == 1)
                held.set()
            assert "fairlead-hedged" not in replies[0].headers
            assert not other.heard
            assert await one.idle()

    _run(main)


def test_no_hedge_is_sent_while_the_first_has_begun_to_say_something() -> None:
    """A beginning that a floor holds back is not silence."""

    async def main() -> None:
        async with relay([Send(SSE + chunk(ROLE) + chunk(word("once")))], STREAM) as (one, (_, other)):
            client = Recorded()
            await one.send(client, streamed=True, workload=_hedged(one, stream_recovery=StreamRecovery.NONE))
            assert not other.heard
            assert one.row(RequestRow).outcome == "cut"

    _run(main)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_first_that_fails_in_the_race_leaves_the_field_to_the_hedge(streamed: bool) -> None:  # noqa: FBT001
    """The hedge is never cancelled for it; both attempts are told, and it is no fallback."""

    async def main() -> None:
        fails, answers = anyio.Event(), anyio.Event()
        well = STREAM if streamed else WELL
        async with relay([Gate(fails), Close()], [Gate(answers), *well], timeouts=PATIENT) as (one, (first, second)):
            client, replies = Recorded(), []
            async with anyio.create_task_group() as tasks:

                async def send() -> None:
                    replies.append(await one.send(client, streamed=streamed, workload=_hedged(one)))

                tasks.start_soon(send)
                await _until(lambda: bool(second.heard))
                fails.set()
                await _until(lambda: not first.open and len(one.all_rows(AttemptRow)) == 1)
                answers.set()
            headers = client.headers if replies[0] is None else replies[0].headers
            assert (headers["fairlead-target"], headers["fairlead-hedged"]) == ("p1/m", "won")
            assert "fairlead-fallback-from" not in headers
            assert _attempts(one) == [(1, "p0/m", "unreachable", False), (2, "p1/m", None, True)]
            assert len(second.heard) == 1
            assert await one.idle()

    _run(main)


def test_after_both_have_failed_the_request_goes_on_past_them() -> None:
    """The third target is the third attempt, and the fallback is from whoever failed last."""

    async def main() -> None:
        broken = [Send(b""), *error("500 Internal Server Error")]
        fails = anyio.Event()
        async with relay([Gate(fails), *broken], error("503 Busy"), said("third"), timeouts=PATIENT) as (one, peers):
            replies: list[Answer | None] = []
            async with anyio.create_task_group() as tasks:

                async def send() -> None:
                    replies.append(await one.send(workload=_hedged(one)))

                tasks.start_soon(send)
                await _until(lambda: len(one.all_rows(AttemptRow)) == 1)
                fails.set()
            assert [len(peer.heard) for peer in peers] == [1, 1, 1]
            headers = replies[0].headers
            assert (headers["fairlead-target"], headers["fairlead-attempts"]) == ("p2/m", "3")
            assert (headers["fairlead-hedged"], headers["fairlead-fallback-from"]) == ("lost", "p0/m")
            assert [fault for _, _, fault, _ in _attempts(one)] == ["server_error", "overloaded", None]
            assert one.row(FallbackRow).fault == "server_error"
            assert await one.idle()

    _run(main)


def test_a_failure_that_nobody_falls_back_on_is_shown_though_the_other_failed_later() -> None:
    """A hedge is no way around the client's own mistake."""

    async def main() -> None:
        mistaken, fails = anyio.Event(), anyio.Event()
        busy = [Gate(fails), *error("503 Busy")]
        async with relay([Gate(mistaken), *error("400 No")], busy, WELL, timeouts=PATIENT) as (one, (_, second, third)):
            replies: list[Answer | None] = []
            async with anyio.create_task_group() as tasks:

                async def send() -> None:
                    replies.append(await one.send(workload=_hedged(one)))

                tasks.start_soon(send)
                await _until(lambda: bool(second.heard))
                mistaken.set()
                await _until(lambda: len(one.all_rows(AttemptRow)) == 1)
                fails.set()
            assert (replies[0].status, replies[0].headers["fairlead-target"]) == (400, "p0/m")
            assert not third.heard

    _run(main)


def test_a_refused_key_is_shown_at_once_where_the_workload_wants_that() -> None:
    """`require_entitlement` is not answered around by a hedge that happens to be under way."""

    async def main() -> None:
        refuses = anyio.Event()
        async with relay([Gate(refuses), *error("401 No")], SILENT, timeouts=PATIENT) as (one, (_, second)):
            replies: list[Answer | None] = []
            async with anyio.create_task_group() as tasks:

                async def send() -> None:
                    replies.append(await one.send(workload=_hedged(one, require_entitlement=True)))

                tasks.start_soon(send)
                await _until(lambda: bool(second.heard))
                refuses.set()
            await _seen_to_leave(second)
            assert replies[0].status == 401
            assert await one.idle()

    _run(main)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_leaves_in_the_race_ends_both_at_once(streamed: bool) -> None:  # noqa: FBT001
    """Both providers see their sockets close within 100 ms; nobody is to blame."""

    async def main() -> None:
        async with relay(SILENT, SILENT, timeouts=PATIENT) as (one, peers):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: one.send(streamed=streamed, workload=_hedged(one)))
                await _until(lambda: all(peer.heard for peer in peers))
                left_at = time.monotonic()
                tasks.cancel_scope.cancel()
            for peer in peers:
                await peer.left.wait()
            assert time.monotonic() - left_at < AT_ONCE_S
            assert one.faults() == ["cancelled", "cancelled"]
            assert one.row(RequestRow).outcome == "cancelled"
            assert {row.outcome.reason for row in one.all_rows(AttemptRow)} == {"the client left"}
            assert await one.idle()

    _run(main)


@pytest.mark.parametrize("begun", [SILENT, [Send(SSE + chunk(ROLE) + chunk(word("once")))]])
def test_a_server_that_cancels_its_handler_ends_both_too(begun: Script) -> None:
    """It cancels the task and knows no scopes: in the race, and while the hedge that has won writes beside it."""

    async def main() -> None:
        async with relay(SILENT, begun, timeouts=PATIENT) as (one, peers):
            client = Recorded()
            handler = asyncio.create_task(one.send(client, streamed=True, workload=_hedged(one)))
            await _until(lambda: all(peer.heard for peer in peers) and bool(client.pieces) == bool(begun))
            handler.cancel()
            with pytest.raises(asyncio.CancelledError):
                await handler
            for peer in peers:
                await _seen_to_leave(peer)
            assert one.row(RequestRow).outcome == "cancelled"
            reasons = {row.number: row.outcome.reason for row in one.all_rows(AttemptRow)}
            assert reasons == {
                1: "hedge: the other answered first" if begun else "the client left",
                2: "the client left",
            }
            assert await one.idle()

    _run(main)


def test_a_client_that_leaves_the_winners_stream_ends_the_request() -> None:
    """What the write tells of the client comes out of the race as it would without one."""

    async def main() -> None:
        begun = [Send(SSE + chunk(ROLE) + chunk(word("once")))]
        async with relay(SILENT, begun, timeouts=PATIENT) as (one, (slow, _)):
            with pytest.raises(ClientLeft):
                await one.send(Recorded(leaves_after=0), streamed=True, workload=_hedged(one))
            await _seen_to_leave(slow)
            assert one.row(RequestRow).outcome == "cancelled"
            assert await one.idle()

    _run(main)


def test_the_deadlines_of_both_hold() -> None:
    """Two that say nothing are both left at their first byte's deadline, and the client hears of both."""

    async def main() -> None:
        async with relay(SILENT, SILENT) as (one, _):
            reply = await one.send(workload=_hedged(one))
            assert [fault for _, _, fault, _ in _attempts(one)] == ["timeout", "timeout"]
            assert reply.status == 504
            assert (reply.headers["fairlead-attempts"], reply.headers["fairlead-hedged"]) == ("2", "lost")
            assert await one.idle()

    _run(main)


def test_a_stream_that_the_winner_breaks_may_go_on_at_the_loser() -> None:
    """Who was outrun has not failed, and is asked for the rest where nobody else is there."""

    async def main() -> None:
        rest = [Send(SSE + chunk(ROLE) + chunk(word(" a time")) + chunk(done()) + b"0\r\n\r\n")]
        async with relay((SILENT, rest), CUT, timeouts=PATIENT) as (one, (first, _)):
            client = Recorded()
            workload = _hedged(one, stream_recovery=StreamRecovery.CONTINUE)
            body = b'{"model":"w","stream":true,"messages":[{"role":"user","content":"tell"}]}'
            await one.send(client, streamed=True, workload=workload, body=body)
            assert b"[DONE]" in client.body
            assert len(first.heard) == 2
            assert one.row(RequestRow).attempts == 3
            assert await one.idle()

    _run(main)


@pytest.mark.parametrize("why_not", ["no fallback", "rehearsed", "one attempt", "not switched on", "embeddings"])
def test_nobody_is_asked_beside_a_first_where_that_is_not_wanted(why_not: str) -> None:
    """Not where the client forbids a fallback, a fault is rehearsed, or only one attempt is allowed."""

    async def main() -> None:
        async with relay(SILENT, WELL) as (one, (_, other)):
            workload = _hedged(one, fallback_on=())
            more: dict[str, Any] = {}
            match why_not:
                case "no fallback":
                    more["fallback_allowed"] = False
                case "rehearsed":
                    elsewhere = one.workload.targets[1]
                    one.rehearsals.order(Rehearsal(workload="w", fault=Fault.TLS, count=1, target=elsewhere, by="x"))
                case "one attempt":
                    workload = replace(workload, max_attempts=1)
                case "not switched on":
                    workload = replace(workload, hedge=False)
                case _:
                    more["surface"] = Surface.EMBEDDINGS
            await one.send(workload=workload, **more)
            assert not other.heard
            assert await one.idle()

    _run(main)
