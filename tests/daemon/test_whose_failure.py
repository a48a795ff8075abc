"""Attempts that end while something is being waited for: what each is called, and whose failure it is."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio
import pytest
from msgspec.structs import replace

from probes.policy import Timeouts
from state.durations import Seconds
from state.faults import Blame, Fault
from state.history.rows import AttemptRow, RequestRow
from state.messages import AttemptSpared
from tests.rigs.bodies import ROLE, SSE, WELL, error, word
from tests.rigs.peers import Flood, Gate, Send, chunk, head
from tests.rigs.relay import Recorded, relay

_REFUSAL = head("content-type: application/json", "content-length: 50", status="401 Unauthorized")
_BEGUN = Send(SSE + chunk(ROLE) + chunk(word("half ")))


def _run(main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend_options={"use_uvloop": True})


@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal_whose_body_never_comes_is_what_its_status_says(streamed: bool) -> None:  # noqa: FBT001
    """Law: a 401 is no timeout, and nobody falls back on it who does not want that."""

    async def main() -> None:
        async with relay([Send(_REFUSAL + b"{"), Gate(anyio.Event())], WELL) as (one, (_, second)):
            reply = await one.send(streamed=streamed)
            assert reply is not None
            assert reply.status == 401
            assert one.faults() == ["auth"]
            assert one.row(AttemptRow).outcome.status == 401
            assert not second.heard

    _run(main)


def test_a_refusal_is_read_no_further_than_anyone_explains_one() -> None:
    """Law: an error body beyond 1 MiB is left, and the status alone says what it was."""

    async def main() -> None:
        endless = Flood(b"x" * 65536, 4096)
        long = head("content-type: application/json", "content-length: 268435456", status="401 Unauthorized")
        async with relay([Send(long), endless], WELL) as (one, (_, second)):
            reply = await one.send()
            assert reply is not None
            assert (reply.status, one.faults()) == (401, ["auth"])
            assert sum(endless.sent) < 32 * 2**20
            assert not second.heard

    _run(main)


def test_a_stream_that_the_clients_own_deadline_ends_is_no_failure_of_its_provider() -> None:
    """Law: it is cut, the client is told, and the provider's health hears of no fault that counts."""

    async def main() -> None:
        async with relay([_BEGUN, Gate(anyio.Event())]) as (one, _):
            client = Recorded()
            await one.send(client, streamed=True, deadline=time.monotonic() + 0.15)
            outcome = one.row(AttemptRow).outcome
            assert (outcome.fault, outcome.blame, outcome.counts) == (Fault.CUT, Blame.CALLER, False)
            assert b"stream_broken" in client.body
            assert one.row(RequestRow).outcome == "cut"
            assert one.faults() == ["cut"]

    _run(main)


def test_a_backoff_that_uses_the_deadline_up_asks_nobody_else() -> None:
    """Law: the provider's own words at once, and the next target is not called with no time to answer."""

    async def main() -> None:
        async with relay(error("429 Too Many Requests"), WELL) as (one, (_, second)):
            began = time.monotonic()
            workload = replace(one.workload, deadline=Seconds(0.3), backoff=Seconds(1))
            reply = await one.send(workload=workload)
            assert reply is not None
            assert reply.status == 429
            assert time.monotonic() - began < 0.3
            assert not second.heard
            assert one.faults() == ["rate_limited"]

    _run(main)


def test_what_the_workloads_own_deadline_left_too_little_for_is_no_fault_of_the_target() -> None:
    """Law: the share of a deadline is fairlead's doing; a target that is slow by its own measure is to blame."""

    async def main() -> None:
        async with relay([Gate(anyio.Event())]) as (one, _):
            reply = await one.send(workload=replace(one.workload, deadline=Seconds(0.15)))
            assert reply is not None
            assert reply.status == 504
            outcome = one.row(AttemptRow).outcome
            assert (outcome.fault, outcome.blame, outcome.counts) == (Fault.TIMEOUT, Blame.OURSELVES, False)
            told = [message for message in one.evidence._waiting if isinstance(message, AttemptSpared)]
            assert (one.faults(), told) == ([], [])

    _run(main)


def test_the_wait_before_a_repetition_ends_with_the_deadline() -> None:
    """Law: nobody sleeps longer than there is time."""

    async def main() -> None:
        limited = error("429 Too Many Requests", "retry-after-ms: 150")
        async with relay((limited, WELL)) as (one, _):
            began = time.monotonic()
            await one.send(workload=replace(one.workload, deadline=Seconds(0.2)))
            assert time.monotonic() - began < 0.3

    _run(main)


class _Slow(Recorded):
    """A client that never takes its first piece off the wire."""

    async def write(self, piece: bytes) -> None:
        if not self.pieces:
            self.pieces.append(piece)
            await anyio.sleep_forever()
        await super().write(piece)


def test_a_client_that_does_not_read_is_no_failure_of_the_provider() -> None:
    """Law: what ends while the client is waited for is the client's doing."""

    async def main() -> None:
        timeouts = Timeouts(connect=Seconds(0.3), first_byte=Seconds(0.3), idle=Seconds(0.3), total=Seconds(0.3))
        async with relay([_BEGUN, Gate(anyio.Event())], timeouts=timeouts) as (one, _):
            await one.send(_Slow(), streamed=True)
            outcome = one.row(AttemptRow).outcome
            assert (outcome.fault, outcome.blame) == (Fault.CUT, Blame.CALLER)
            assert one.row(RequestRow).outcome == "cut"

    _run(main)


def test_a_stream_that_falls_silent_is_its_providers_failure() -> None:
    """Law: a client that has read all there was is not blamed for what never came."""

    async def main() -> None:
        async with relay([_BEGUN, Gate(anyio.Event())]) as (one, _):
            await one.send(Recorded(), streamed=True)
            outcome = one.row(AttemptRow).outcome
            assert (outcome.fault, outcome.blame) == (Fault.CUT, Blame.PROVIDER)

    _run(main)


def test_nobody_repeats_a_request_whose_own_deadline_passed() -> None:
    """Law: an SDK repeats a 504 of itself; the caller has said how long it waits."""

    async def main() -> None:
        async with relay([]) as (one, _):
            reply = await one.send(deadline=time.monotonic() + 0.1)
            assert reply is not None
            assert (reply.status, reply.headers["x-should-retry"]) == (504, "false")

    _run(main)
