"""The text of answers: taken from whole ones and streams, continued, rendered, and judged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic.types
import openai.types.chat
import openai.types.responses
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.dialects.continuing import Splice, continued_body
from probes.dialects.quality import lacking
from probes.dialects.rendering import Rendered, render_stream, render_whole, wants_usage
from probes.dialects.replies import read_reply
from probes.dialects.sse import EventSplitter, fields_of
from probes.dialects.streams import StreamReader
from probes.dialects.texts import MOST_CHARACTERS, TextSoFar, text_of
from probes.surfaces import Surface

# fmt: off
KEYS = [
    "choices", "message", "delta", "content", "type", "text", "tool_calls", "function", "arguments", "output",
    "stop_reason", "name", "n", "tools", "index", "role", "finish_reason", "messages", "item", "part",
    "status", "refusal", "response_format", "json_schema", "schema", "content_block", "format",
]
# fmt: on
SPEAKING = [Surface.CHAT, Surface.RESPONSES, Surface.MESSAGES]
_ANY = st.binary(max_size=120) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
).map(lambda value: json.dumps(value).encode())


def _rendered(surface: Surface, text: str, **more: Any) -> Rendered:
    return Rendered(surface=surface, model="w", text=text, request_id="req_1", created=1_800_000_000, **more)


def _events(stream: bytes) -> Iterator[tuple[bytes, Any]]:
    for event in EventSplitter().feed(stream):
        name, data = fields_of(event)
        yield name, None if data == b"[DONE]" else json.loads(data)


@pytest.mark.parametrize("surface", SPEAKING)
@given(text=st.text(min_size=1, max_size=200).filter(str.strip))
def test_what_is_rendered_reads_as_a_good_answer_that_says_it(surface: Surface, text: str) -> None:
    """Whole and streamed, by the same readers that judge providers; every text comes back as it was."""
    whole = render_whole(_rendered(surface, text))
    assert read_reply(surface, "application/json", whole).diagnosis is None
    assert text_of(surface, whole) == text
    stream = render_stream(_rendered(surface, text))
    reader, so_far = StreamReader(surface), TextSoFar(surface)
    assert reader.feed(stream) == stream
    assert reader.end() is None
    so_far.feed(stream)
    assert (so_far.text, so_far.plain, so_far.finished) == (text, True, True)


def test_the_sdks_own_types_take_what_is_rendered() -> None:
    """Each dialect's client parses the whole answer and every event of the stream."""
    openai.types.chat.ChatCompletion.model_validate_json(render_whole(_rendered(Surface.CHAT, "x")))
    anthropic.types.Message.model_validate_json(render_whole(_rendered(Surface.MESSAGES, "x")))
    openai.types.responses.Response.model_validate_json(render_whole(_rendered(Surface.RESPONSES, "x")))
    chunks = [value for _, value in _events(render_stream(_rendered(Surface.CHAT, "x", include_usage=True))) if value]
    assert [openai.types.chat.ChatCompletionChunk.model_validate(chunk).usage is None for chunk in chunks] == (
        [True, True, True, False]
    )
    names = [name for name, _ in _events(render_stream(_rendered(Surface.MESSAGES, "x")))]
    assert names[0] == b"message_start"
    assert names[-1] == b"message_stop"
    numbers = [value["sequence_number"] for _, value in _events(render_stream(_rendered(Surface.RESPONSES, "x")))]
    assert numbers == list(range(len(numbers)))


_TOOL = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("surface", "answer"),
    [
        (Surface.CHAT, {"choices": [{"finish_reason": "length", "message": {"content": "half"}}]}),
        (Surface.CHAT, {"choices": [{"finish_reason": "stop", "message": {"content": "x", "tool_calls": [_TOOL]}}]}),
        (Surface.CHAT, {"choices": [{"finish_reason": "stop", "message": {"content": "x"}}] * 2}),
        (Surface.CHAT, {"choices": [{"finish_reason": "stop", "message": {"content": "x" * (MOST_CHARACTERS + 1)}}]}),
        (Surface.MESSAGES, {"stop_reason": "max_tokens", "content": [{"type": "text", "text": "half"}]}),
        (Surface.MESSAGES, {"stop_reason": "end_turn", "content": [{"type": "tool_use", "name": "f", "input": {}}]}),
        (Surface.RESPONSES, {"status": "incomplete", "output": []}),
        (Surface.RESPONSES, {"status": "completed", "output": [{"type": "function_call", "name": "f"}]}),
        (Surface.EMBEDDINGS, {"data": []}),
    ],
)
def test_what_is_cut_or_more_than_a_text_has_no_text_to_keep(surface: Surface, answer: object) -> None:
    """Only a plain text that came to its own end is worth repeating."""
    assert text_of(surface, json.dumps(answer).encode()) is None


@given(body=_ANY, pieces=st.lists(_ANY, max_size=4), surface=st.sampled_from(Surface))
def test_no_bytes_make_any_of_it_raise(body: bytes, pieces: list[bytes], surface: Surface) -> None:
    """Providers send anything."""
    text_of(surface, body)
    lacking(surface, body, pieces[0] if pieces else b"")
    continued_body(surface, body, "so far")
    read_reply(surface, "application/json", body)
    so_far, splice, reader = TextSoFar(surface), Splice(surface), StreamReader(surface, 3.0)
    for piece in pieces:
        reader.feed(b"data: " + piece + b"\n\n")
        so_far.feed(b"data: " + piece + b"\n\n")
        splice.feed(b"data: " + piece + b"\n\n")
    assert isinstance(so_far.text, str)


def test_a_request_is_continued_with_the_text_so_far_and_nothing_else_changed() -> None:
    """An assistant's turn is added; Anthropic takes no white space at its end."""
    body = b'{"model":"w","messages":[{"role":"user","content":"tell"}],"temperature": 0.70}'
    continued = continued_body(Surface.CHAT, body, "once ")
    assert continued is not None
    assert json.loads(continued)["messages"][-1] == {"role": "assistant", "content": "once "}
    assert b"0.70" in continued
    prefilled = continued_body(Surface.MESSAGES, body, "once \n")
    assert prefilled is not None
    assert json.loads(prefilled)["messages"][-1] == {"role": "assistant", "content": "once"}


@pytest.mark.parametrize(
    "more",
    [
        '"tools":[{"type":"function"}]',
        '"n":2',
        '"response_format":{"type":"json_object"}',
        '"messages":[]',
        '"messages":[{"role":"assistant","content":"x"}]',
    ],
)
def test_what_is_more_than_a_text_is_not_continued(more: str) -> None:
    """Half a tool call cannot be gone on with."""
    body = '{"model":"w","messages":[{"role":"user","content":"tell"}],' + more + "}"
    assert continued_body(Surface.CHAT, body.encode(), "once") is None
    assert continued_body(Surface.RESPONSES, b'{"input":"tell"}', "once") is None


@pytest.mark.parametrize("surface", [Surface.CHAT, Surface.MESSAGES])
def test_a_spliced_stream_lacks_its_own_beginning_only(surface: Surface) -> None:
    """The role chunk, or `message_start` and the first block's start, are left out; byte for byte the rest passes."""
    stream = render_stream(_rendered(surface, "and so on"))
    whole, splice = list(EventSplitter().feed(stream)), Splice(surface)
    spliced = b"".join(splice.feed(stream[place : place + 7]) for place in range(0, len(stream), 7))
    left_out = 1 if surface is Surface.CHAT else 2
    assert spliced == b"".join(whole[left_out:])


def _chat(content: object = "", **message: object) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content, **message}}
    return json.dumps({"choices": [choice]}).encode()


_SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
_ASKED = {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": _SCHEMA}}}
_TOOLS = {"tools": [{"type": "function", "function": {"name": "f"}}]}
_CUSTOM = {"tools": [{"type": "custom", "custom": {"name": "run"}}]}


@pytest.mark.parametrize(
    ("request_", "answer", "lack"),
    [
        ({}, _chat("hello"), None),
        ({}, _chat(""), "empty"),
        ({}, _chat(None, refusal="no"), "refused"),
        (_ASKED, _chat('{"age": 3}'), None),
        (_ASKED, _chat('{"age": "three"}'), "the answer does not fit the JSON schema"),
        (_ASKED, _chat("three"), "the answer is not JSON"),
        (_TOOLS, _chat(None, tool_calls=[_TOOL]), None),
        (_TOOLS, _chat(None, tool_calls=[{**_TOOL, "function": {"name": "f", "arguments": "{oops"}}]), "arguments"),
        (_TOOLS, _chat(None, tool_calls=[{**_TOOL, "function": {"name": "g", "arguments": "{}"}}]), "not offered"),
        (
            _CUSTOM,
            _chat(None, tool_calls=[{"id": "1", "type": "custom", "custom": {"name": "run", "input": "x"}}]),
            None,
        ),
        (_CUSTOM, _chat(None, tool_calls=[_TOOL]), None),
        (_TOOLS, _chat(None, tool_calls=[{"id": "1", "function": {"name": "g", "arguments": "{}"}}]), "not offered"),
        ({"functions": [{"name": "f"}]}, _chat(None, function_call={"name": "f", "arguments": "{}"}), None),
        ({"modalities": ["text", "audio"]}, _chat(None, audio={"id": "a", "data": "AA=="}), None),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": 7}}}}, _chat("1"), None),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "http://127.0.0.1:9/x"}}}},
            _chat("1"),
            None,
        ),
    ],
)
def test_an_answer_is_judged_by_what_was_asked(request_: object, answer: bytes, lack: str | None) -> None:
    """What is wrong is named in a few words, none of them the answer's; a schema that is none is not its fault."""
    found = lacking(Surface.CHAT, json.dumps(request_).encode(), answer)
    assert found == lack or (lack is not None and found is not None and lack in found)


@pytest.mark.parametrize(("name", "lack"), [("get", None), ("bash", None), ("rm", "not offered")])
def test_a_tool_of_anthropics_own_was_offered_as_well(name: str, lack: str | None) -> None:
    """Whatever has a name in the request may be called."""
    request = {"tools": [{"name": "get", "input_schema": {}}, {"type": "bash_20250124", "name": "bash"}]}
    answer = {"stop_reason": "tool_use", "content": [{"type": "tool_use", "id": "1", "name": name, "input": {}}]}
    found = lacking(Surface.MESSAGES, json.dumps(request).encode(), json.dumps(answer).encode())
    assert found == lack or (lack is not None and found is not None and lack in found)


_DOUBLING = {
    "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {"type": "object"}},
    "$ref": "#/$defs/d0",
}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"pattern": "^(a+)+$"}}},
        {"type": "object", "patternProperties": {"^(a+)+$": {"type": "integer"}}},
        _DOUBLING,
        {"$ref": "#"},
        {"$dynamicRef": "#x"},
    ],
)
def test_no_schema_can_drive_the_price_of_a_judgement_up(schema: dict[str, object]) -> None:
    """What would take for ever is given up in the answer's favour; this test would not end otherwise."""
    request = {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
    answer = _chat(json.dumps({"a": "a" * 60 + "!", "a" * 60 + "!": 1}))
    assert lacking(Surface.CHAT, json.dumps(request).encode(), answer) is None


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b'{"stream_options": {"include_usage": true}}', True),
        (b'{"stream_options": {"include_usage": false}}', False),
        (b'{"messages": [{"content": "what is \\"include_usage\\"?"}], "include_usage": true}', False),
        (b'{"stream_options": [1]}', False),
        (b"not json", False),
    ],
)
def test_token_counts_are_wanted_where_the_request_says_so(body: bytes, wanted: object) -> None:
    """Not where the words only stand in it."""
    assert wants_usage(body) is wanted
