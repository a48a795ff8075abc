"""What a workload's rules make of one request: retries, floors, signs of life, continuations, escalations."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from daemon.degraded.keys import Asker
from daemon.dispatcher import RETRY_RESERVE, RETRY_SHARE
from daemon.rehearsals import Rehearsal
from daemon.routing.policy import DegradedPolicy, StreamFloor, StreamRecovery, Workload
from state.durations import Seconds
from state.faults import Blame, Fault
from state.history.rows import AttemptRow, FallbackRow, RequestRow
from state.messages import AttemptCompleted
from state.targets import TargetName
from tests.rigs.bodies import CUT, ROLE, SSE, STREAM, WELL, done, error, said, word
from tests.rigs.peers import Gate, Send, answer, chunk
from tests.rigs.relay import Recorded, Relay, relay

FILTERED = b'{"error":{"message":"no","type":"invalid_request_error","code":"content_policy_violation"}}'


def _run(main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend_options={"use_uvloop": True})


def _with(one: Relay, **more: object) -> Workload:
    return replace(one.workload, **more)


def test_a_target_that_fails_once_is_asked_again_where_there_is_no_other() -> None:
    """One attempt more at the same target, no fallback, and the answer."""

    async def main() -> None:
        async with relay((error("500 Internal Server Error"), WELL)) as (one, _):
            reply = await one.send()
            assert reply is not None
            assert (reply.status, reply.headers["fairlead-attempts"]) == (200, "2")
            assert "fairlead-fallback-from" not in reply.headers
            assert not one.all_rows(FallbackRow)

    _run(main)


@pytest.mark.parametrize(("script", "calls"), [(error("500 Oh"), 2), (error("401 No"), 1), ([], 1)])
def test_nothing_is_asked_again_that_a_repetition_cannot_mend(script: list[object], calls: int) -> None:
    """Once more after a server's error; never after a refusal, nor after a timeout that may be billed."""

    async def main() -> None:
        async with relay(script) as (one, (only,)):
            reply = await one.send()
            assert reply is not None
            assert reply.status >= 400
            assert len(only.heard) == calls

    _run(main)


def test_an_outage_cannot_spend_more_than_the_retry_budget() -> None:
    """A reserve, and one retry for five requests: calls stay far below twice the requests."""

    async def main() -> None:
        async with relay(error("500 Internal Server Error")) as (one, (only,)):
            workload = _with(one, max_wait=Seconds(9))
            async with anyio.create_task_group() as tasks:
                for _ in range(50):
                    tasks.start_soon(lambda: one.send(workload=workload))
            assert 50 < len(only.heard) <= 50 + RETRY_RESERVE + 50 * RETRY_SHARE
            assert await one.idle()

    _run(main)


def test_a_stream_that_drips_is_left_for_the_next_target() -> None:
    """What is below the floor before it is committed never reaches the client."""

    async def main() -> None:
        stalls = anyio.Event()
        drip = [Send(SSE + chunk(ROLE) + chunk(word("slow"))), Gate(stalls)]
        async with relay(drip, STREAM) as (one, _):
            floor = StreamFloor(tokens_per_second=20, over=Seconds(0.2))
            client = Recorded()
            await one.send(client, streamed=True, workload=_with(one, stream_floor=floor))
            assert b"slow" not in client.body
            assert client.body.endswith(b"data: [DONE]\n\n")
            assert client.headers["fairlead-fallback-reason"].startswith("timeout: it drips")

    _run(main)


def test_a_stream_that_keeps_the_pace_is_passed_on_whole_and_so_is_a_short_one() -> None:
    """The floor costs only time: not a byte of a good stream is lost."""

    async def main() -> None:
        async with relay(STREAM, WELL) as (one, _):
            floor = StreamFloor(tokens_per_second=1000, over=Seconds(0.2))
            client = Recorded()
            await one.send(client, streamed=True, workload=_with(one, stream_floor=floor))
            assert client.body == ROLE + word("well ") + word("said") + done()
            assert not one.all_rows(FallbackRow)

    _run(main)


def test_a_client_that_waits_for_a_slow_fallback_hears_signs_of_life() -> None:
    """Comments, and the headers that name the fallback, before the content comes."""

    async def main() -> None:
        ready = anyio.Event()
        async with relay(error("503 Service Unavailable"), [Gate(ready), *STREAM]) as (one, _):
            client = Recorded()
            async with anyio.create_task_group() as tasks:
                send = one.send
                tasks.start_soon(lambda: send(client, streamed=True, workload=_with(one, keep_alive=Seconds(0.02))))
                while len(client.pieces) < 3:
                    await anyio.lowlevel.checkpoint()
                assert client.headers["fairlead-fallback-from"] == "p0/m"
                assert all(piece.startswith(b": ") for piece in client.pieces)
                ready.set()
            assert client.body.endswith(done())
            assert one.row(RequestRow).outcome == "ok"

    _run(main)


def test_where_everybody_fails_after_signs_of_life_the_stream_ends_in_an_error_event() -> None:
    """The status is out, so the error is an event: never a clean end."""

    async def main() -> None:
        async with relay(error("503 Service Unavailable"), []) as (one, _):
            client = Recorded()
            await one.send(client, streamed=True, workload=_with(one, keep_alive=Seconds(0.02)))
            assert b"[DONE]" not in client.body
            message = json.loads(client.pieces[-1].strip().removeprefix(b"data: "))["error"]["message"]
            assert "p0/m: overloaded" in message
            assert "p1/m: timeout" in message
            assert one.row(RequestRow).outcome == "failed"

    _run(main)


def test_a_text_in_place_of_an_answer_is_marked_in_a_stream_that_has_begun() -> None:
    """The headers named the fallback before it failed too; a comment says what comes in its place."""

    async def main() -> None:
        async with relay(error("503 Service Unavailable"), [Gate(anyio.Event())]) as (one, _):
            client = Recorded()
            degraded = DegradedPolicy(mode="static", message="SORRY", status=200)
            await one.send(client, streamed=True, workload=_with(one, keep_alive=Seconds(0.02), degraded=degraded))
            assert client.headers["fairlead-degraded"] == "fallback"
            before, _, text = client.body.partition(b"fairlead-degraded: static\n\n")
            assert b"SORRY" in text
            assert b"SORRY" not in before
            assert one.row(RequestRow).degraded == "static"

    _run(main)


def test_a_stream_that_breaks_is_continued_on_the_next_target_and_marked() -> None:
    """The text goes on from where it stopped; the history has a fallback on `cut`, the stream a comment."""

    async def main() -> None:
        rest = [Send(SSE + b"".join(map(chunk, (ROLE, word(" a time"), done()))) + b"0\r\n\r\n")]
        async with relay(CUT, rest) as (one, (_, second)):
            client = Recorded()
            body = json.dumps({"model": "w", "stream": True, "messages": [{"role": "user", "content": "tell"}]})
            workload = _with(one, stream_recovery=StreamRecovery.CONTINUE)
            await one.send(client, streamed=True, workload=workload, body=body.encode())
            assert client.body.count(b'"role"') == 1
            assert client.body.index(b"once upon") < client.body.index(b" a time") < client.body.index(b"[DONE]")
            assert b": fairlead-target: p1/m; fairlead-fallback-from: p0/m" in client.body
            turns = json.loads(second.heard[0].body)["messages"]
            assert turns[-1] == {"role": "assistant", "content": "once upon"}
            assert (one.row(FallbackRow).fault, one.row(RequestRow).outcome) == (Fault.CUT, "ok")
            assert one.row(RequestRow).degraded == "fallback"

    _run(main)


@pytest.mark.parametrize("recovery", StreamRecovery)
def test_a_stream_that_nobody_continues_ends_in_an_error_event(recovery: StreamRecovery) -> None:
    """Off by default; and where the next one fails too, the break is told all the same."""

    async def main() -> None:
        async with relay(CUT, error("503 Service Unavailable")) as (one, (_, second)):
            client = Recorded()
            body = json.dumps({"model": "w", "stream": True, "messages": [{"role": "user", "content": "tell"}]})
            workload = _with(one, stream_recovery=recovery)
            await one.send(client, streamed=True, workload=workload, body=body.encode())
            assert b"stream_broken" in client.body
            assert b"[DONE]" not in client.body
            assert one.row(RequestRow).outcome == "cut"
            assert bool(second.heard) is (recovery is StreamRecovery.CONTINUE)

    _run(main)


def test_an_answer_that_no_stronger_model_bettered_is_nobodys_fallback() -> None:
    """What is given is the first target's, and headers and the history say of it what they said before."""

    async def main() -> None:
        async with relay(WELL, error("500 Internal Server Error")) as (one, _):
            body = b'{"model":"w","response_format":{"type":"json_object"},"messages":[]}'
            alone = _with(one, targets=one.workload.targets[:1], escalate=TargetName("p1/m"))
            reply = await one.send(workload=alone, body=body)
            assert reply is not None
            assert (reply.status, reply.headers["fairlead-target"]) == (200, "p0/m")
            told = {"fairlead-fallback-from", "fairlead-fallback-reason", "fairlead-degraded"}
            assert not told & reply.headers.keys()
            row = one.row(RequestRow)
            assert (row.served_by, row.degraded) == ("p0/m", None)

    _run(main)


def test_what_was_a_fallback_before_it_was_escalated_in_vain_stays_one() -> None:
    """The first step is told, the one that led nowhere is not."""

    async def main() -> None:
        async with relay(error("503 No"), WELL, error("500 No")) as (one, _):
            body = b'{"model":"w","response_format":{"type":"json_object"},"messages":[]}'
            first_two = _with(one, targets=one.workload.targets[:2], escalate=TargetName("p2/m"))
            reply = await one.send(workload=first_two, body=body)
            assert reply is not None
            assert (reply.headers["fairlead-target"], reply.headers["fairlead-fallback-from"]) == ("p1/m", "p0/m")
            assert reply.headers["fairlead-fallback-reason"].startswith("overloaded")
            assert reply.headers["fairlead-degraded"] == "fallback"

    _run(main)


def test_an_answer_that_does_not_do_what_was_asked_goes_to_the_stronger_model_once() -> None:
    """JSON was asked for and a poem came: the history says so."""

    async def main() -> None:
        async with relay(said("roses are red"), said('{"colour":"red"}')) as (one, _):
            body = b'{"model":"w","response_format":{"type":"json_object"},"messages":[]}'
            alone = _with(one, targets=one.workload.targets[:1], escalate=TargetName("p1/m"))
            reply = await one.send(workload=alone, body=body)
            assert reply is not None
            assert b"colour" in reply.body
            assert reply.headers["fairlead-target"] == "p1/m"
            assert one.row(FallbackRow).reason == "escalated: the answer is not JSON"

    _run(main)


def test_where_the_stronger_model_fails_the_first_answer_stands() -> None:
    """An answer that lacks something is better than none."""

    async def main() -> None:
        async with relay(said(""), said("roses are red"), error("500 Oh")) as (one, _):
            body = b'{"model":"w","response_format":{"type":"json_object"},"messages":[]}'
            alone = _with(one, targets=one.workload.targets[1:2], escalate=TargetName("p2/m"))
            reply = await one.send(workload=alone, body=body)
            assert reply is not None
            assert b"roses" in reply.body
            assert reply.headers["fairlead-target"] == "p1/m"

    _run(main)


@pytest.mark.parametrize("manner", ["plain", "streamed"])
@pytest.mark.parametrize(
    "script", [error("400 No", body=FILTERED), [Send(answer(b"", "content-type: application/json"))]]
)
def test_a_refusal_and_an_answer_that_is_none_go_to_the_stronger_model_last(manner: str, script: list[object]) -> None:
    """Once, when nothing else is left, and within `max_attempts`."""

    async def main() -> None:
        good = STREAM if manner == "streamed" else WELL
        async with relay(script, good) as (one, (_, second)):
            alone = _with(one, targets=one.workload.targets[:1], escalate=TargetName("p1/m"))
            client = Recorded()
            reply = await one.send(client, streamed=manner == "streamed", workload=alone)
            headers = client.headers if reply is None else reply.headers
            assert headers["fairlead-target"] == "p1/m"
            assert headers["fairlead-fallback-from"] == "p0/m"
            assert one.all_rows(FallbackRow)[-1].reason.startswith("escalated: ")
            await one.send(workload=replace(alone, max_attempts=1))
            assert len(second.heard) == 1
            assert await one.idle()

    _run(main)


def test_the_last_good_answer_is_given_to_its_own_asker_only(tmp_path: Path) -> None:
    """Marked as degraded, with status 200 where the workload asks for that; another user gets the error."""

    async def main() -> None:
        async with relay((said("forty-two"), error("503 Oh")), answers=tmp_path / "answers.sqlite") as (one, _):
            workload = _with(one, degraded=DegradedPolicy(mode="cache", status=200))
            ada, bob = Asker(uid=1), Asker(uid=2)
            await one.send(workload=workload, asker=ada)
            again = await one.send(workload=workload, asker=ada)
            assert again is not None
            assert (again.status, again.headers["fairlead-degraded"]) == (200, "cache")
            assert json.loads(again.body)["choices"][0]["message"]["content"] == "forty-two"
            client = Recorded()
            await one.send(client, streamed=True, workload=workload, asker=ada)
            assert (client.headers["fairlead-degraded"], b"forty-two" in client.body) == ("cache", True)
            other = await one.send(workload=workload, asker=bob)
            assert other is not None
            assert (other.status, b"forty-two" in other.body) == (503, False)
            assert [row.degraded for row in one.all_rows(RequestRow)] == [None, "cache", "cache", None]

    _run(main)


def test_static_messages_are_chosen_by_what_happened_and_refusals_are_never_dressed_up() -> None:
    """A quota has its own words; a 401 stays a 401."""

    async def main() -> None:
        quota = b'{"error":{"message":"spent","type":"insufficient_quota","code":"insufficient_quota"}}'
        async with relay((error("429 Oh", body=quota), error("401 No"))) as (one, _):
            degraded = DegradedPolicy(mode="static", message="Later.", messages={"quota": "We ran out."}, status=200)
            spent = await one.send(workload=_with(one, degraded=degraded))
            assert spent is not None
            assert (spent.status, spent.headers["fairlead-degraded"]) == (200, "static")
            assert json.loads(spent.body)["choices"][0]["message"]["content"] == "We ran out."
            refused = await one.send(workload=_with(one, degraded=degraded))
            assert refused is not None
            assert (refused.status, "fairlead-degraded" in refused.headers) == (401, False)

    _run(main)


def test_a_rehearsed_fault_falls_back_and_leaves_the_targets_health_alone() -> None:
    """Nothing is sent, the history blames ourselves, and no evidence is given."""

    async def main() -> None:
        async with relay(WELL, WELL) as (one, (first, second)):
            one.rehearsals.order(Rehearsal(workload="w", fault=Fault.TIMEOUT, count=1, by="ada"))
            reply, after = await one.send(), await one.send()
            assert reply is not None
            assert after is not None
            assert (reply.headers["fairlead-target"], after.headers["fairlead-target"]) == ("p1/m", "p0/m")
            assert (len(first.heard), len(second.heard)) == (1, 1)
            assert [row.outcome.blame for row in one.all_rows(AttemptRow)] == [Blame.OURSELVES, None, None]
            told = [message.target for message in one.evidence._waiting if isinstance(message, AttemptCompleted)]
            assert told == ["p1/m", "p0/m"]

    _run(main)


def test_after_a_context_length_only_a_target_that_is_known_to_take_more_is_asked() -> None:
    """Named in `fallback_on`, it goes on; where nobody is known to take more, the error goes to the client."""

    async def main() -> None:
        long = b'{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}'
        async with relay(error("400 No", body=long), WELL) as (one, (_, second)):
            workload = _with(one, fallback_on=(Fault.CONTEXT_LENGTH,))
            reply = await one.send(workload=workload)
            assert reply is not None
            assert (reply.status, reply.body, second.heard) == (400, long, [])

    _run(main)


def test_the_clients_own_retries_are_written_down() -> None:
    """What the SDK says of itself is in the request's row."""

    async def main() -> None:
        async with relay([Send(answer(b"", status="503 Oh"))]) as (one, _):
            await one.send(client_retry=2)
            assert one.row(RequestRow).client_retry == 2

    _run(main)
