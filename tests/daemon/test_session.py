"""One request's life, past providers of every kind of rudeness, on real sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable

import anyio
import pytest

from daemon.relay.calls import ClientLeft
from daemon.routing.policy import DegradedPolicy
from probes.policy import Dialect
from probes.surfaces import Surface
from state.faults import Blame
from state.history.rows import AttemptRow, DecisionRow, FallbackRow, RequestRow
from state.messages import AttemptCompleted
from state.outcome import Work
from tests.rigs.peers import Close, Script, Send, answer, chunk, head
from tests.rigs.relay import Recorded, Relay, relay

_OK = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
).encode()
_WELL = [Send(answer(_OK, "content-type: application/json"))]
_SSE = head("content-type: text/event-stream", "transfer-encoding: chunked")
_ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
_WORD = b'data: {"choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}\n\n'
_END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
_STREAM = [Send(_SSE + chunk(_ROLE) + chunk(_WORD) + chunk(_WORD) + chunk(_END) + b"0\r\n\r\n")]


def _error(status: str, body: bytes = b'{"error":{"message":"no","type":"server_error"}}', *headers: str) -> Script:
    return [Send(answer(body, "content-type: application/json", *headers, status=status))]


def _run(main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend_options={"use_uvloop": True})


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (_error("500 Internal Server Error"), "server_error"),
        (_error("503 Service Unavailable"), "overloaded"),
        (_error("429 Too Many Requests", b"{}", "retry-after: 7"), "rate_limited"),
        ([Send(answer(b"<html>x</html>", "content-type: text/html"))], "bad_reply"),
        ([Send(answer(b"", "content-type: application/json"))], "bad_reply"),
        ([Send(answer(b'{"choices":[]}', "content-type: application/json"))], "bad_reply"),
        ([Send(head("content-type: application/json", "content-length: 500") + _OK[:40]), Close()], "bad_reply"),
        ([Send(b"SSH-2.0-OpenSSH_9\r\n\r\n"), Close()], "bad_reply"),
        ([Close()], "unreachable"),
    ],
)
def test_what_the_provider_fails_at_goes_on_to_the_next_target(script: Script, fault: str) -> None:
    """Law: each failure has its name, the next target answers, and headers and rows say so."""

    async def main() -> None:
        async with relay(script, _WELL) as (one, _):
            reply = await one.send()
            assert reply is not None
            assert (reply.status, reply.body) == (200, _OK)
            assert reply.headers["fairlead-target"] == "p1/m"
            assert reply.headers["fairlead-attempts"] == "2"
            assert reply.headers["fairlead-fallback-from"] == "p0/m"
            assert reply.headers["fairlead-fallback-reason"].startswith(fault)
            assert reply.headers["fairlead-degraded"] == "fallback"
            step = one.row(FallbackRow)
            assert (step.from_target, step.to_target, step.fault) == ("p0/m", "p1/m", fault)
            assert [row.number for row in one.all_rows(AttemptRow)] == [1, 2]
            assert len(one.all_rows(DecisionRow)) == 2
            request = one.row(RequestRow)
            assert (request.outcome, request.served_by, request.attempts) == ("ok", "p1/m", 2)
            assert request.usage.prompt_tokens == 3
            assert one.faults() == [fault, None]
            assert await one.idle()

    _run(main)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_provider_that_never_answers_is_left_at_its_first_byte_deadline(streamed: bool) -> None:  # noqa: FBT001
    """Law: silence before the first byte is a timeout, and the client never sees it."""

    async def main() -> None:
        async with relay([], _STREAM if streamed else _WELL) as (one, _):
            client = Recorded()
            reply = await one.send(client, streamed=streamed)
            assert one.faults()[0] == "timeout"
            assert client.body.endswith(b"[DONE]\n\n") if streamed else reply.status == 200

    _run(main)


def test_a_stream_that_stalls_before_content_falls_back_unseen() -> None:
    """Law: the protocol's preamble commits to nothing."""

    async def main() -> None:
        async with relay([Send(_SSE + chunk(_ROLE))], _STREAM) as (one, _):
            client = Recorded()
            assert await one.send(client, streamed=True) is None
            assert client.body == _ROLE + _WORD + _WORD + _END
            assert client.headers["fairlead-target"] == "p1/m"
            assert one.faults() == ["timeout", None]

    _run(main)


def _broken_off(surface: Surface, dialect: Dialect, first: bytes, more: bytes, marker: bytes) -> None:
    async def main() -> None:
        torn = chunk(first) + chunk(more) + chunk(more[: len(more) // 2])
        async with relay([Send(_SSE + torn), Close()], _STREAM, dialect=dialect) as (one, _):
            client = Recorded()
            assert await one.send(client, surface=surface, streamed=True) is None
            whole, _, error = client.body.partition(marker)
            assert whole.rstrip(b"\n") == (first + more).rstrip(b"\n")
            assert b"broke off" in error
            assert b"[DONE]" not in client.body
            request = one.row(RequestRow)
            assert (request.outcome, request.served_by, request.fault) == ("cut", "p0/m", "cut")
            assert one.faults() == ["cut"]
            assert await one.idle()

    _run(main)


def test_a_chat_stream_that_breaks_after_content_ends_in_an_error() -> None:
    """Law: only whole events, then the error that OpenAI's package raises, and no fallback."""
    _broken_off(Surface.CHAT, Dialect.OPENAI, _ROLE + _WORD, _WORD, b'data: {"error"')


def test_a_message_stream_that_breaks_after_content_ends_in_an_error() -> None:
    """Law: the same for Anthropic's package."""
    start = b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":1}}}\n\n'
    word = (
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"w"}}\n\n'
    )
    _broken_off(Surface.MESSAGES, Dialect.ANTHROPIC, start + word, word, b"event: error")


def test_a_stream_that_ends_without_a_finish_is_not_whole() -> None:
    """Law: a connection that closes cleanly in mid-answer is a break all the same."""

    async def main() -> None:
        async with relay([Send(_SSE + chunk(_ROLE) + chunk(_WORD) + b"0\r\n\r\n")]) as (one, _):
            client = Recorded()
            await one.send(client, streamed=True)
            assert b'data: {"error"' in client.body
            assert one.row(RequestRow).outcome == "cut"

    _run(main)


def test_a_client_that_leaves_in_mid_stream_closes_the_call_and_is_nobodys_fault() -> None:
    """Law: the provider sees its connection close, the lease comes back, and no health suffers."""

    async def main() -> None:
        async with relay([Send(_SSE + chunk(_ROLE) + chunk(_WORD) + chunk(_WORD))]) as (one, peers):
            with pytest.raises(ClientLeft):
                await one.send(Recorded(leaves_after=0), streamed=True)
            await peers[0].left.wait()
            assert one.row(RequestRow).outcome == "cancelled"
            assert one.faults() == ["cancelled"]
            assert await one.idle()

    _run(main)


def test_a_cancelled_session_closes_the_call_and_gives_its_lease_back() -> None:
    """Law: cancellation at any moment leaks nothing."""

    async def main() -> None:
        async with relay([]) as (one, peers):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one.send)
                while not peers[0].heard:
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            await peers[0].left.wait()
            assert one.row(RequestRow).outcome == "cancelled"
            assert await one.idle()

    _run(main)


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found"])
def test_what_is_the_clients_to_mend_goes_to_the_client_untouched(status: str) -> None:
    """Law: one attempt, the provider's own body and status, no fallback."""

    async def main() -> None:
        body = b'{"error":{"message":"yours","type":"invalid_request_error","code":null}}'
        async with relay(_error(status, body), _WELL) as (one, _):
            reply = await one.send()
            assert reply is not None
            assert reply.status == int(status[:3])
            assert reply.body.startswith(body[: body.index(b'","type')])
            assert (reply.body == body) == (reply.status in {400, 413, 422}), "a caller's own error is untouched"
            assert reply.headers["fairlead-attempts"] == "1"
            assert not one.all_rows(FallbackRow)

    _run(main)


def test_when_all_fail_the_error_tells_each_story_and_forbids_retries() -> None:
    """Law: the SDK shows who was tried, and does not multiply the outage."""

    async def main() -> None:
        async with relay(_error("503 Service Unavailable"), _error("500 Internal Server Error")) as (one, _):
            reply = await one.send()
            assert reply is not None
            assert reply.status == 502
            assert reply.headers["x-should-retry"] == "false"
            message = json.loads(reply.body)["error"]["message"]
            assert "p0/m: overloaded" in message
            assert "p1/m: server_error" in message
            assert one.row(RequestRow).outcome == "failed"

    _run(main)


def test_a_long_wait_is_not_passed_on_and_a_short_one_is() -> None:
    """Law: an SDK sleeps through `retry-after` inside the call, so only 60 s and less reach it."""

    async def main(seconds: int) -> str | None:
        async with relay(_error("429 Too Many Requests", b"{}", f"retry-after: {seconds}")) as (one, _):
            reply = await one.send()
            assert reply is not None
            assert reply.status == 429
            return reply.headers.get("retry-after")

    assert anyio.run(main, 7, backend_options={"use_uvloop": True}) == "7"
    assert anyio.run(main, 61, backend_options={"use_uvloop": True}) is None


def test_the_clients_own_deadline_is_no_fault_of_the_provider() -> None:
    """Law: 504, and the evidence is a cancellation; what its short share made of an attempt is none."""

    async def main() -> None:
        async with relay([], []) as (one, _):
            reply = await one.send(deadline=time.monotonic() + 0.2)
            assert reply is not None
            assert reply.status == 504
            assert one.faults() == ["cancelled"]
            assert [row.outcome.blame for row in one.all_rows(AttemptRow)] == [Blame.CALLER, Blame.CALLER]

    _run(main)


def test_a_short_deadline_still_reaches_the_last_fallback() -> None:
    """Law: what is left is shared, so a target that hangs leaves time for those behind it."""

    async def main() -> None:
        async with relay([], [], _WELL) as (one, _):
            reply = await one.send(deadline=time.monotonic() + 0.6)
            assert reply is not None
            assert (reply.status, reply.headers["fairlead-target"]) == (200, "p2/m")

    _run(main)


def _with(one: Relay, **more: object) -> object:
    fields = {name: getattr(one.workload, name) for name in one.workload.__struct_fields__}
    return type(one.workload)(**{**fields, **more})


def test_a_static_degraded_answer_is_marked() -> None:
    """Law: the workload's message comes first, in an error that says what it is."""

    async def main() -> None:
        async with relay(_error("503 Service Unavailable")) as (one, _):
            workload = _with(one, degraded=DegradedPolicy(mode="static", message="Back in a minute."))
            reply = await one.send(workload=workload)
            assert reply is not None
            assert reply.status == 503
            assert reply.headers["fairlead-degraded"] == "static"
            assert json.loads(reply.body)["error"]["message"].startswith("Back in a minute.")
            assert one.row(RequestRow).degraded == "static"

    _run(main)


def test_an_input_that_is_too_long_is_refused_before_any_attempt() -> None:
    """Law: `max_input_tokens` costs no provider anything."""

    async def main() -> None:
        async with relay(_WELL) as (one, peers):
            reply = await one.send(workload=_with(one, max_input_tokens=10), body=b"x" * 400)
            assert reply is not None
            assert reply.status == 400
            assert json.loads(reply.body)["error"]["code"] == "context_length_exceeded"
            assert not peers[0].heard
            assert one.row(RequestRow).outcome == "refused"

    _run(main)


def test_the_models_name_is_the_providers_own_upstream() -> None:
    """Law: the provider hears its model's name and every other byte as the client sent it."""

    async def main() -> None:
        async with relay(_WELL) as (one, peers):
            await one.send(body=b'{ "model":"w" , "n": 1.50 }')
            assert peers[0].heard[0].body == b'{ "model":"m" , "n": 1.50 }'

    _run(main)


@pytest.mark.parametrize(
    ("surface", "body", "work"),
    [
        (Surface.CHAT, _OK, Work.GENERATE),
        (Surface.EMBEDDINGS, b'{"object":"list","data":[{"embedding":[0.5],"index":0}]}', Work.EMBED),
        (Surface.COUNT_TOKENS, b'{"input_tokens":7}', Work.COUNT),
    ],
)
def test_evidence_says_what_was_asked(surface: Surface, body: bytes, work: Work) -> None:
    """Law: the registry can tell a count of tokens from an answer."""

    async def main() -> None:
        script = [Send(answer(body, "content-type: application/json"))]
        async with relay(script, dialect=surface.dialect) as (one, _):
            await one.send(surface=surface)
            told = [each for each in one.evidence.take_all() if isinstance(each, AttemptCompleted)]
            assert [(each.work, each.outcome.fault) for each in told] == [(work, None)]

    _run(main)
