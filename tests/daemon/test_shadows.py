"""Copies of requests: compared, never sent, never in the way; and answers that are listed for a person to look at."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import Any

import anyio
import anyio.lowlevel
from msgspec.structs import replace

from daemon.alerts.watch import Alert
from daemon.relay.calls import ClientLeft
from daemon.routing.policy import DegradedPolicy
from daemon.routing.sorting.policy import Shadow
from daemon.shadow.copies import Copied
from daemon.shadow.shadows import Shadows
from state.durations import Seconds
from state.history.charges import Charged, ComparisonRow, ReviewRow
from state.history.rows import AttemptRow, FallbackRow, RequestRow
from state.mailbox import Mailbox
from state.targets import TargetName
from tests.rigs.bodies import ROLE, SSE, STREAM, WELL, done, error, said, word
from tests.rigs.peers import Gate, Peer, Script, Send, chunk
from tests.rigs.relay import Recorded, Relay, relay

P0, P1 = TargetName("p0/m"), TargetName("p1/m")
STREAMED = json.dumps({"model": "w", "stream": True, "messages": []}).encode()


def _run(main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend_options={"use_uvloop": True})


@asynccontextmanager
async def _shadowed(
    *scripts: Script | tuple[Script, ...], capacity: int = 9, **more: Any
) -> AsyncIterator[tuple[Relay, list[Peer], Shadows]]:
    """Give a relay whose workload has the last peer as its shadow."""
    async with relay(*scripts) as (one, peers):
        box = Mailbox[Copied](capacity)
        shadows = Shadows(box, one.around)
        one.besides["shadows"] = box.address
        own = one.workload.targets[:-1]
        one.workload = replace(one.workload, targets=own, shadow=Shadow(target=one.workload.targets[-1], **more))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shadows.run)
            yield one, peers, shadows
            shadows.close()


async def _until(found: Callable[[], object]) -> None:
    while not found():
        await anyio.lowlevel.checkpoint()


async def _a_while() -> None:
    for _ in range(100):
        await anyio.lowlevel.checkpoint()


def test_a_copy_is_compared_and_its_answer_goes_nowhere() -> None:
    """Latency, length and refusal of both; the copy is a request of its own, charged to the same payer."""

    async def main() -> None:
        async with _shadowed(WELL, said("I'm sorry, I can't help with that.")) as (one, (_, candidate), _):
            keyed = (("idempotency-key", "k"), ("content-type", "application/json"))
            reply = await one.send(headers=keyed, charged=Charged(workload="w", team="red"))
            assert json.loads(reply.body)["choices"][0]["message"]["content"] == "hi"
            await _until(lambda: one.all_rows(ComparisonRow))
            row = one.row(ComparisonRow)
            assert (row.request_id, row.target, row.shadow_target) == ("req_1", P0, P1)
            assert (row.outcome, row.shadow_outcome) == ("ok", "ok")
            assert (row.length, row.shadow_length, row.refused, row.shadow_refused) == (2, 34, False, True)
            assert min(row.latency_s, row.shadow_latency_s) > 0
            (copy,) = [each for each in one.all_rows(RequestRow) if each.purpose == "shadow"]
            assert (copy.request_id, copy.workload, copy.team) == (row.shadow_request_id, "w", "red")
            assert "idempotency-key" not in candidate.heard[0].headers
            assert b'fairlead_shadows_total{outcome="ok",workload="w"} 1.0' in one.metrics.exposition(
                await one.desk.view(), ()
            )

    _run(main)


def test_a_stream_is_copied_as_a_stream() -> None:
    """What the client had is what is compared, by its text."""

    async def main() -> None:
        async with _shadowed(STREAM, STREAM) as (one, _, _):
            client = Recorded()
            await one.send(client, streamed=True, body=STREAMED)
            await _until(lambda: one.all_rows(ComparisonRow))
            row = one.row(ComparisonRow)
            assert (row.length, row.shadow_length, row.shadow_refused) == (9, 9, False)
            assert client.starts == 1

    _run(main)


def test_a_copy_starts_only_after_the_answer_has_ended() -> None:
    """While the client's stream is under way the candidate hears nothing."""

    async def main() -> None:
        gate = Gate(anyio.Event())
        slow = [Send(SSE + chunk(ROLE) + chunk(word("well"))), gate, Send(chunk(done()) + b"0\r\n\r\n")]
        async with _shadowed(slow, STREAM) as (one, (_, candidate), _), anyio.create_task_group() as tasks:
            client = Recorded()
            tasks.start_soon(lambda: one.send(client, streamed=True, body=STREAMED))
            await _until(lambda: b"well" in client.body)
            assert not candidate.heard
            gate.event.set()
            await _until(lambda: one.all_rows(ComparisonRow))

    _run(main)


def test_a_candidate_that_fails_alerts_nobody_and_falls_back_to_nobody() -> None:
    """No fallback, no degraded answer, no alert, no count of a client's request; one row that says `failed`."""

    async def main() -> None:
        broken = error("500 Internal Server Error")
        async with _shadowed(WELL, broken) as (one, (first, candidate), _):
            degraded = DegradedPolicy(mode="static", message="later")
            one.workload = replace(one.workload, degraded=degraded, escalate=P0)
            await one.send()
            await _until(lambda: one.all_rows(ComparisonRow))
            assert one.row(ComparisonRow).shadow_outcome == "failed"
            assert one.row(ComparisonRow).shadow_length is None
            assert (len(first.heard), len(candidate.heard)) == (1, 1)
            assert not one.all_rows(FallbackRow)
            assert not [each for each in one.alerts._waiting if isinstance(each, Alert)]
            counted = one.metrics.exposition(await one.desk.view(), ())
            assert b'fairlead_requests_total{outcome="failed"' not in counted

    _run(main)


def test_more_copies_than_may_be_under_way_are_dropped_and_counted() -> None:
    """The clients are all answered; of three copies two are never sent."""

    async def main() -> None:
        gate = Gate(anyio.Event())
        async with _shadowed(WELL, [gate, *WELL], max_in_flight=1) as (one, (_, candidate), _):
            await one.send()
            await _until(lambda: candidate.heard)
            for number in range(2):
                await one.send(request_id=f"req_{number + 2}")
            await _a_while()
            counted = one.metrics.exposition(await one.desk.view(), ())
            assert b'fairlead_shadows_total{outcome="dropped",workload="w"} 2.0' in counted
            gate.event.set()
            await _until(lambda: one.all_rows(ComparisonRow))
            assert len(candidate.heard) == 1

    _run(main)


def test_a_full_mailbox_drops_a_copy_and_no_answer() -> None:
    """Law: what is only compared never holds anybody up."""

    async def main() -> None:
        async with _shadowed(WELL, WELL, capacity=0) as (one, (_, candidate), _):
            assert (await one.send()).status == 200
            assert not candidate.heard
            counted = one.metrics.exposition(await one.desk.view(), ())
            assert b'fairlead_shadows_total{outcome="dropped",workload="w"} 1.0' in counted

    _run(main)


def test_a_copy_is_given_up_after_its_timeout_and_nobody_is_to_blame() -> None:
    """The candidate's health does not suffer from the patience of whoever compares."""

    async def main() -> None:
        async with _shadowed(WELL, [Gate(anyio.Event())], timeout=Seconds(0.05)) as (one, _, _):
            await one.send()
            await _until(lambda: one.all_rows(ComparisonRow))
            assert one.row(ComparisonRow).shadow_outcome in {"cancelled", "failed"}
            assert one.faults() in ([None], [None, "cancelled"])

    _run(main)


def test_the_end_of_the_daemon_ends_copies_under_way() -> None:
    """They are written down as cancelled, and their leases come back."""

    async def main() -> None:
        async with _shadowed(WELL, [Gate(anyio.Event())]) as (one, (_, candidate), shadows):
            await one.send()
            await _until(lambda: candidate.heard)
            shadows.close()
            await _until(lambda: len(one.all_rows(RequestRow)) == 2)
            assert one.all_rows(RequestRow)[1].outcome == "cancelled"
            assert await one.idle()
            assert not one.all_rows(ComparisonRow)

    _run(main)


def test_who_was_not_drawn_has_no_shadow_and_neither_has_who_was_not_answered() -> None:
    """A share draws, and a request that nobody was asked for is not copied."""

    async def main() -> None:
        async with _shadowed(WELL, WELL, share=1e-12) as (one, (_, candidate), _):
            await one.send()
            one.workload = replace(one.workload, shadow=Shadow(target=P1), max_input_tokens=1)
            refused = await one.send(body=b'{"model":"w","messages":[]}' + b" " * 100)
            assert refused.status == 400
            await _a_while()
            assert not candidate.heard

    _run(main)


def test_every_answer_of_a_workload_under_review_is_marked_and_listed() -> None:
    """By the hash of what was sent, and nothing else of it."""

    async def main() -> None:
        async with relay((WELL, STREAM)) as (one, _):
            one.workload = replace(one.workload, require_human_review=True)
            reply = await one.send(charged=Charged(workload="w", user="ann"))
            assert reply.headers["fairlead-review"] == "pending"
            client = Recorded()
            await one.send(client, streamed=True, body=STREAMED, request_id="req_2")
            assert client.headers["fairlead-review"] == "pending"
            whole, stream = one.all_rows(ReviewRow)
            assert (whole.request_id, whole.target, whole.charged.user) == ("req_1", P0, "ann")
            assert whole.sha256 == sha256(reply.body).hexdigest()
            assert stream.sha256 == sha256(client.body).hexdigest()

    _run(main)


def test_an_error_is_no_answer_to_review() -> None:
    """Neither marked nor listed; a stream that broke is both."""

    async def main() -> None:
        async with relay((error("401 No"), STREAM)) as (one, _):
            one.workload = replace(one.workload, require_human_review=True)
            reply = await one.send()
            assert "fairlead-review" not in reply.headers
            assert not one.all_rows(ReviewRow)
            client = Recorded(leaves_after=1)
            with suppress(ClientLeft):
                await one.send(client, streamed=True, body=STREAMED)
            assert one.row(ReviewRow).sha256 == sha256(client.body).hexdigest()
            assert one.all_rows(AttemptRow)

    _run(main)
