"""Streams that are asked for their usage: the provider is asked, the client sees nothing of it, the attempt knows."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.relay.calls import ClientLeft
from daemon.relay.envelope import with_usage
from daemon.relay.events import without_usage
from daemon.routing.policy import StreamRecovery
from probes.policy import Abilities, Dialect
from probes.surfaces import Surface
from state.history.rows import AttemptRow, RequestRow
from state.outcome import Usage
from state.prices import Price
from tests.rigs.bodies import CUT, ROLE, SSE, done, error, word
from tests.rigs.peers import Reset, Script, Send, answer, chunk
from tests.rigs.relay import Recorded, Relay, relay
from tests.rigs.streamed import BLOCK, DELTA, OVER, START, TEXT

_PRICE = Price(input=1, output=2)
_WISH = b'"stream_options":{"include_usage":true}'
_LAST = b"data: [DONE]\n\n"
_FINISH = done().removesuffix(_LAST)
_COUNTS = b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}\n\n'
_EVENTS = (ROLE, word("well "), word("said"), _FINISH, _COUNTS, _LAST)
_SHOWN = b"".join(event for event in _EVENTS if event is not _COUNTS)
_BODY = b'{"model":"w","stream":true,"messages":[{"role":"user","content":"tell"}]}'
_WISHES = [
    (b'{"model":"m"}', b"{" + _WISH + b',"model":"m"}'),
    (b' \n{ "model":"m"}', b" \n{" + _WISH + b', "model":"m"}'),
    (b'{"stream_options": null ,"model":"m"}', b'{"stream_options": {"include_usage":true} ,"model":"m"}'),
    (b'{"a":{"stream_options":1},"stream_options":{}}', b'{"a":{"stream_options":1},' + _WISH + b"}"),
    (b'{"stream_options":{"x": 1}}', b'{"stream_options":{"include_usage":true,"x": 1}}'),
    (b'{"stream_options":{"include_usage": false}}', b'{"stream_options":{"include_usage": true}}'),
    (b'{"stream_options":{"include_usage":null,"x":{"include_usage":false}}}', None),
    (b'{"model":"m","stream_options":{"include_usage":true}}', None),
    (b'{"model":"m","stream_options":"yes"}', None),
]


def _run(main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend_options={"use_uvloop": True})


def _price(one: Relay, **more: Any) -> None:
    """Give every target of the relay a price."""
    one.providers = {name: replace(each, prices=(("*", _PRICE),), **more) for name, each in one.providers.items()}


def _stream(*events: bytes) -> Script:
    return [Send(SSE + b"".join(map(chunk, events)) + b"0\r\n\r\n")]


@pytest.mark.parametrize(("body", "asking"), [each for each in _WISHES if each[1] is not None])
def test_the_wish_is_put_in_and_no_other_byte_changes(body: bytes, asking: bytes) -> None:
    """Law: in front, or into the options that are there."""
    assert with_usage(body) == asking


@pytest.mark.parametrize("body", [_WISHES[7][0], _WISHES[8][0]])
def test_a_wish_that_is_there_stays_as_it_is(body: bytes) -> None:
    """Law: who has asked is given what they asked for; what nobody understands is the provider's to refuse."""
    assert with_usage(body) is None


_OTHERS = st.dictionaries(
    st.sampled_from(["a", "stream_option", "messages", "é", 'in"clude']),
    st.recursive(st.none() | st.text(max_size=4), lambda inner: st.dictionaries(st.just("stream_options"), inner)),
)
_OPTIONS = st.fixed_dictionaries(
    {}, optional={"include_usage": st.sampled_from([False, None]), "x": st.text(max_size=3)}
)


_ENCODERS = st.builds(json.JSONEncoder, ensure_ascii=st.booleans(), indent=st.none() | st.just(1))


@given(_OTHERS, st.none() | _OPTIONS, _ENCODERS)
def test_any_body_means_the_same_but_for_the_wish(
    others: dict[str, Any], options: dict[str, Any] | None, encoder: json.JSONEncoder
) -> None:
    """Law: what a provider reads is what the client sent, with the wish."""
    sent = {**others, "stream_options": options} if options is not None else others
    asking = with_usage(encoder.encode(sent).encode())
    assert asking is not None
    assert json.loads(asking) == {**others, "stream_options": {**(options or {}), "include_usage": True}}


_NULLED = word("x").replace(b"}]}", b'}],"usage":null}')
_WITH_BOTH = word("x").replace(b"}]}", b'}],"usage":{"prompt_tokens":1}}')
_FILTER = b'data: {"choices":[],"prompt_filter_results":[]}\n\n'
_FAULT = b'data: {"choices":[],"usage":{"prompt_tokens":1},"error":{"code":500}}\n\n'


@pytest.mark.parametrize("kept", [ROLE, _NULLED, _WITH_BOTH, _FILTER, _FAULT, b": usage\n\n", b'data: "usage": {\n\n'])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_only_a_chunk_that_counts_and_says_nothing_is_taken_out(kept: bytes, end: bytes) -> None:
    """Law: chunks with content or an error stay, however lines end, and so does what is no chunk."""
    kept, counts = kept.replace(b"\n", end), _COUNTS.replace(b"\n", end)
    assert without_usage(kept + counts + kept) == kept + kept
    assert without_usage(counts) == b""
    assert without_usage(kept) == kept


def test_the_client_gets_the_stream_without_the_counts_and_the_attempt_has_them() -> None:
    """Law: byte for byte what it would have got, wherever the network cuts."""

    async def main() -> None:
        whole = b"".join(_EVENTS)
        for pieces in (_EVENTS, (whole,), tuple(whole[at : at + 30] for at in range(0, len(whole), 30))):
            client = Recorded()
            async with relay(_stream(*pieces)) as (one, peers):
                _price(one)
                await one.send(client, streamed=True, body=_BODY)
                assert client.body == _SHOWN
                (heard,) = peers[0].heard
                assert heard.body == b"{" + _WISH + b"," + _BODY.replace(b'"w"', b'"m"')[1:]
                attempt, request = one.row(AttemptRow), one.row(RequestRow)
                assert (attempt.outcome.usage, attempt.outcome.said) == (Usage(7, 3), 0.0)
                assert (request.outcome, request.usage) == ("ok", Usage(7, 3))

    _run(main)


@pytest.mark.parametrize("why", ["no price", "it lacks them", "asked", "whole", "messages"])
def test_what_is_not_asked_for_is_not_touched(why: str) -> None:
    """Law: without a price, where the model takes no such option, and where the client has asked: nothing changes."""

    async def main() -> None:
        dialect = Dialect.ANTHROPIC if why == "messages" else Dialect.OPENAI
        events = (START, BLOCK, TEXT, DELTA, OVER) if why == "messages" else _EVENTS
        body = _BODY.replace(b"{", b"{" + _WISH + b",", 1) if why == "asked" else _BODY
        async with relay(_stream(*events), dialect=dialect) as (one, peers):
            if why != "no price":
                lacks = Abilities(lacks=("stream_options",))
                _price(one, abilities=(("m", lacks),) if why == "it lacks them" else ())
            client = Recorded()
            surface = Surface.MESSAGES if why == "messages" else Surface.CHAT
            await one.send(client, streamed=why != "whole", body=body, surface=surface)
            assert peers[0].heard[0].body == body.replace(b'"w"', b'"m"')
            assert client.body == (b"" if why == "whole" else b"".join(events))

    _run(main)


class _Satisfied(Recorded):
    """A client that leaves as soon as it has the last event."""

    async def write(self, piece: bytes) -> None:
        """Keep a piece, and be gone with the last."""
        await super().write(piece)
        if piece.endswith(_LAST):
            raise ClientLeft


def test_a_client_that_leaves_with_the_last_event_has_had_a_whole_answer_that_was_counted() -> None:
    """Law: the counts come before the end that clients wait for."""

    async def main() -> None:
        async with relay([Send(SSE + b"".join(map(chunk, _EVENTS)))]) as (one, _):
            _price(one)
            with pytest.raises(ClientLeft):
                await one.send(_Satisfied(), streamed=True, body=_BODY)
            attempt, request = one.row(AttemptRow), one.row(RequestRow)
            assert (attempt.outcome.usage, attempt.outcome.said) == (Usage(7, 3), 0.0)
            assert (request.outcome, request.usage) == ("ok", Usage(7, 3))

    _run(main)


def test_a_stream_left_in_the_middle_says_about_how_much_had_come() -> None:
    """Law: nobody has counted, and what was written has been paid for."""

    async def main() -> None:
        script: Script = [Send(SSE + chunk(ROLE) + chunk(word("one "))), Reset()]
        async with relay(script) as (one, _):
            _price(one)
            await one.send(Recorded(), streamed=True, body=_BODY)
            outcome = one.row(AttemptRow).outcome
            assert (outcome.usage, outcome.said) == (Usage(), 1.0)

    _run(main)


def test_a_continued_stream_is_asked_in_both_parts_and_shows_neither_count() -> None:
    """Law: the rest joins the first part without counts between or after them."""

    async def main() -> None:
        client = Recorded()
        async with relay(CUT, _stream(*_EVENTS)) as (one, peers):
            _price(one)
            workload = replace(one.workload, stream_recovery=StreamRecovery.CONTINUE)
            await one.send(client, streamed=True, body=_BODY, workload=workload)
            assert _WISH in peers[0].heard[0].body
            assert _WISH in peers[1].heard[0].body
            assert b'"usage"' not in client.body
            assert _LAST in client.body
            assert [row.outcome.usage for row in one.all_rows(AttemptRow)] == [Usage(), Usage(7, 3)]

    _run(main)


def test_a_provider_that_refuses_the_question_is_asked_without_it() -> None:
    """Law: what fairlead adds is no client's fault: the request goes out once more as it came."""

    async def main() -> None:
        refusal = b'{"error":{"message":"Unknown argument: stream_options","type":"invalid_request_error"}}'
        client = Recorded()
        async with relay((error("400 Bad Request", body=refusal), _stream(*_EVENTS[:4], _LAST))) as (one, peers):
            _price(one)
            await one.send(client, streamed=True, body=_BODY)
            assert client.body == _SHOWN
            assert [heard.body for heard in peers[0].heard][1] == _BODY.replace(b'"w"', b'"m"')
            assert one.faults() == [None]
            assert one.row(AttemptRow).outcome.said == 2.0

    _run(main)


def test_an_answer_that_failed_still_knows_what_was_counted() -> None:
    """Law: a refusal by a filter has been paid for."""

    async def main() -> None:
        body = {"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}]}
        counted = {**body, "usage": {"prompt_tokens": 5, "completion_tokens": 0}}
        async with relay([Send(answer(json.dumps(counted).encode(), "content-type: application/json"))]) as (one, _):
            await one.send()
            assert one.row(AttemptRow).outcome.usage == Usage(5, 0)

    _run(main)
