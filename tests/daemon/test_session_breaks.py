"""Streams that break in ways that look like an end, or leave the client with less than it seems."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import anyio
import pytest
from msgspec.structs import replace

from daemon.routing.policy import DegradedPolicy, StreamRecovery
from probes.policy import Dialect
from probes.surfaces import Surface
from state.faults import Fault
from state.history.rows import AttemptRow, RequestRow
from state.outcome import Usage
from tests.rigs.bodies import ROLE, SSE, done, error, word
from tests.rigs.peers import Gate, Reset, Script, Send, chunk
from tests.rigs.relay import Recorded, relay
from tests.rigs.streamed import BLOCK, DELTA, OVER, OVERLOADED, START, TEXT, event

_WRONG = b'data: {"error":{"message":"blew up","type":"server_error","code":500}}\n\n'
_LAST = b"data: [DONE]\n\n"
_END = b"0\r\n\r\n"
_BEGUN = Send(SSE + chunk(ROLE) + chunk(word("first half ")))
_BODY = b'{"model":"w","stream":true,"messages":[{"role":"user","content":"tell"}]}'
_REST = [Send(SSE + b"".join(map(chunk, (ROLE, word("the rest"), done()))) + _END)]
_RULES: dict[str, dict[str, object]] = {
    "plain": {},
    "continue": {"stream_recovery": StreamRecovery.CONTINUE},
    "cache": {"degraded": DegradedPolicy(mode="cache", message="m", status=200)},
}
_ENDS: dict[str, Script] = {
    "an error and [DONE], then a reset": [Send(chunk(_WRONG) + chunk(_LAST)), Reset()],
    "an error and [DONE], then silence": [Send(chunk(_WRONG) + chunk(_LAST))],
    "an error and [DONE], then the end": [Send(chunk(_WRONG) + chunk(_LAST) + _END)],
    "an error under a name": [Send(chunk(b"event: message\n" + _WRONG) + chunk(_LAST) + _END)],
    "an error without its empty line": [Send(chunk(_WRONG.rstrip()) + _END)],
    "a finish reason with content": [
        Send(chunk(word(" more").replace(b'"finish_reason":null', b'"finish_reason":"error"')) + chunk(_LAST) + _END)
    ],
}


def _run(main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend_options={"use_uvloop": True})


def _events(body: bytes) -> list[dict[str, object]]:
    """Return the data of each whole event, as a client's SDK reads it."""
    blocks = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n")[:-1]
    lines = [line for block in blocks for line in block.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line[6:]) for line in lines if line != b"data: [DONE]"]


class _Hearing(Recorded):
    """A client that lets the upstream know once it has content: what comes then is a piece of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = anyio.Event()

    async def write(self, piece: bytes) -> None:
        await super().write(piece)
        self.heard.set()


@pytest.mark.parametrize("rules", _RULES)
@pytest.mark.parametrize("end", _ENDS)
def test_an_error_after_content_is_no_end_whatever_comes_after_it(rules: str, end: str) -> None:
    """Law: an error event before any `[DONE]`, or a continuation; and the history says `cut`."""

    async def main() -> None:
        client = _Hearing()
        async with relay([_BEGUN, Gate(client.heard), *_ENDS[end]], _REST) as (one, _):
            workload = replace(one.workload, **_RULES[rules])
            await one.send(client, streamed=True, workload=workload, body=_BODY)
            assert one.all_rows(AttemptRow)[0].outcome.fault is Fault.CUT
            assert await one.idle()
            errors = ["error" in event for event in _events(client.body.partition(_LAST)[0])]
            if rules == "continue":
                assert (b"the rest" in client.body, any(errors)) == (True, False)
                assert one.row(RequestRow).outcome == "ok"
            else:
                assert (b"first half" in client.body, any(errors)) == (True, True)
                assert one.row(RequestRow).outcome == "cut"

    _run(main)


@pytest.mark.parametrize("rules", ["continue", "cache"])
def test_an_error_that_comes_with_the_first_content_is_a_failure_of_which_nobody_hears(rules: str) -> None:
    """Law: where a stream may be taken up elsewhere, the client never has an error and then more of an answer."""

    async def main() -> None:
        async with relay([Send(SSE + chunk(ROLE + word("first half ") + _WRONG) + _END)], _REST) as (one, _):
            client = Recorded()
            workload = replace(one.workload, **_RULES[rules])
            await one.send(client, streamed=True, workload=workload, body=_BODY)
            assert client.body == ROLE + word("the rest") + done()
            assert client.headers["fairlead-fallback-from"] == "p0/m"
            assert one.row(RequestRow).outcome == "ok"

    _run(main)


@pytest.mark.parametrize("rules", ["plain", "cache"])
def test_a_response_that_failed_is_no_answer_however_its_connection_ends(rules: str) -> None:
    """Law: `response.failed`, or an error event, is the last that the client reads; the history says `cut`."""

    async def main() -> None:
        said = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"half"}\n\n'
        failed = b'event: response.failed\ndata: {"type":"response.failed","response":{"status":"failed"}}\n\n'
        client = _Hearing()
        async with relay([Send(SSE + chunk(said)), Gate(client.heard), Send(chunk(failed)), Reset()]) as (one, _):
            workload = replace(one.workload, **_RULES[rules])
            await one.send(client, streamed=True, workload=workload, surface=Surface.RESPONSES)
            assert _events(client.body)[-1]["type"] in {"response.failed", "error"}
            assert one.row(RequestRow).outcome == "cut"

    _run(main)


def test_a_long_piece_leaves_no_half_event_before_a_continuation() -> None:
    """Law: however much comes at once, what goes on elsewhere begins after a whole event."""

    async def main() -> None:
        client = _Hearing()
        many = b"".join(word(f"word{number} ") for number in range(3000))
        broken = [_BEGUN, Gate(client.heard), Send(chunk(many + word("HALF")[:30])), Reset()]
        async with relay(broken, _REST) as (one, _):
            workload = replace(one.workload, **_RULES["continue"])
            await one.send(client, streamed=True, workload=workload, body=_BODY)
            assert len(_events(client.body)) > 3
            assert one.row(RequestRow).outcome == "ok"

    _run(main)


def test_within_half_an_event_nobody_goes_on_and_the_error_is_an_event_of_its_own() -> None:
    """Law: an event too long to be held back, once begun, can only be broken off."""

    async def main() -> None:
        client = _Hearing()
        stopped = anyio.Event()
        broken = [_BEGUN, Gate(client.heard), Send(chunk(word("Z" * 200_000)[:150_000])), Gate(stopped)]
        async with relay(broken, _REST) as (one, (_, second)):
            workload = replace(one.workload, **_RULES["continue"])
            await one.send(client, streamed=True, workload=workload, body=_BODY)
            assert not second.heard
            assert b"stream_broken" in client.body.rpartition(b"\n\ndata: ")[2]
            assert one.row(RequestRow).outcome == "cut"

    _run(main)


def test_a_stream_whose_lines_end_in_cr_alone_is_not_held_to_its_end() -> None:
    """Law: each event goes on as it comes."""

    async def main() -> None:
        client = _Hearing()
        first, rest = (part.replace(b"\n", b"\r") for part in (ROLE + word("one"), word("two") + done()))
        async with relay([Send(SSE + chunk(first)), Gate(client.heard), Send(chunk(rest) + _END)]) as (one, _):
            await one.send(client, streamed=True)
            assert client.body == first + rest
            assert one.row(RequestRow).outcome == "ok"

    _run(main)


@pytest.mark.parametrize("reason", ["end_turn", "max_tokens"])
def test_a_message_that_has_said_why_it_stops_is_not_gone_on_with(reason: str) -> None:
    """Law: an answer whose last event alone is missing is at its end; more of it would be a second answer."""

    async def main() -> None:
        client = _Hearing()
        delta = event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 2})
        broken = [Send(SSE + chunk(START + BLOCK + TEXT)), Gate(client.heard), Send(chunk(delta)), Reset()]
        rest = [Send(SSE + chunk(START + BLOCK + TEXT + DELTA + OVER) + _END)]
        async with relay(broken, rest, dialect=Dialect.ANTHROPIC) as (one, (_, second)):
            workload = replace(one.workload, **_RULES["continue"])
            await one.send(client, streamed=True, surface=Surface.MESSAGES, workload=workload, body=_BODY)
            assert not second.heard
            assert _events(client.body)[-1]["type"] == "error"
            assert one.row(RequestRow).outcome == "cut"

    _run(main)


@pytest.mark.parametrize("well", [True, False])
def test_a_stream_in_parts_has_cost_what_all_its_parts_have(well: bool) -> None:  # noqa: FBT001
    """Law: the tokens that were told before the break stand in the history with those of the rest."""

    async def main() -> None:
        client = _Hearing()
        used = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5}}\n\n'
        broken = [Send(SSE + chunk(ROLE + word("half ") + used)), Gate(client.heard), Reset()]
        rest = (
            [Send(SSE + b"".join(map(chunk, (ROLE, word("rest"), used, done()))) + _END)] if well else error("500 No")
        )
        async with relay(broken, rest) as (one, _):
            workload = replace(one.workload, **_RULES["continue"])
            await one.send(client, streamed=True, workload=workload, body=_BODY)
            row = one.row(RequestRow)
            assert row.outcome == ("ok" if well else "cut")
            assert row.usage == (Usage(14, 10) if well else Usage(7, 5))

    _run(main)


@pytest.mark.parametrize("rules", ["plain", "cache"])
def test_an_error_event_of_a_message_without_its_empty_line_is_given_one(rules: str) -> None:
    """Law: Anthropic's SDK raises too, however the provider's last event ends."""

    async def main() -> None:
        client = _Hearing()
        broken = [Send(SSE + chunk(START + BLOCK + TEXT)), Gate(client.heard), Send(chunk(OVERLOADED.rstrip()) + _END)]
        async with relay(broken, dialect=Dialect.ANTHROPIC) as (one, _):
            workload = replace(one.workload, **_RULES[rules])
            await one.send(client, streamed=True, surface=Surface.MESSAGES, workload=workload, body=_BODY)
            assert client.body.endswith(b"\n\n")
            assert _events(client.body)[-1]["type"] == "error"
            assert one.row(RequestRow).outcome == "cut"

    _run(main)
