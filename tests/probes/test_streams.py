"""A stream as it passes: what is held, what is seen, what is never changed."""

from __future__ import annotations

import pytest

from probes.dialects.sse import MAX_EVENT_BYTES
from probes.dialects.streams import MAX_HELD_BYTES
from probes.surfaces import Surface
from state.faults import Fault
from state.outcome import Usage
from tests.rigs.captures import Capture, capture, captures
from tests.rigs.streamed import (
    BLOCK,
    BROKEN,
    COMPLETED,
    DELTA,
    DONE,
    HELLO,
    LIMITED,
    OVER,
    OVERLOADED,
    PING,
    ROLE,
    SAID,
    START,
    STOP,
    TEXT,
    USAGE,
    StreamReader,
    chunk,
    data,
    event,
    read,
    seen,
)

CHAT, MESSAGES, RESPONSES = Surface.CHAT, Surface.MESSAGES, Surface.RESPONSES

COMPLETE = [
    *((CHAT, answer) for answer in captures("chat_stream", "chat_reasoning_stream", "chat_tools_stream")),
    *((MESSAGES, answer) for answer in captures("messages_stream", "thinking_stream", "anthropic_tools_stream")),
    (RESPONSES, capture("aimock_openai_responses_stream")),
]
COMPLETE = [(surface, answer) for surface, answer in COMPLETE if "ollama" not in answer.name]
FILTERED = event("response.incomplete", response={"incomplete_details": {"reason": "content_filter"}, "output": []})
FAILED = data({"type": "response.failed", "response": {"error": {"code": "server_error"}}})
IN_A_CHUNK = data({"error": {"code": 502}, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]})


def name(value: object) -> str:
    """Name a parameter."""
    return value.name if isinstance(value, Capture) else str(value)


@pytest.mark.parametrize(("surface", "answer"), COMPLETE, ids=name)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_every_captured_stream_passes_unchanged_and_complete(surface: Surface, answer: Capture, size: int) -> None:
    """Whatever the pieces, the bytes are the provider's own and the end is seen."""
    pieces = [answer.body[at : at + size] for at in range(0, len(answer.body), size)]
    out, committed, finished, _, noted, end = seen(surface, pieces)
    assert out == answer.body
    assert (committed, finished, noted, end) == (True, True, None, None)


@pytest.mark.parametrize("cut", ["aimock_stream_cut_latency10", "aimock_stream_disconnect_ms"])
def test_a_stream_that_ends_early_is_cut(cut: str) -> None:
    """A clean end without a reason to finish is no success, though every client takes it for one."""
    body = capture(cut).body
    out, committed, finished, _, _, end = seen(CHAT, [body])
    assert (out, committed, finished, end) == (body, True, False, Fault.CUT)


def test_a_message_without_its_message_stop_is_cut() -> None:
    """Anthropic's own sign of an end is the only one."""
    assert seen(MESSAGES, [START, TEXT, DELTA])[-1] is Fault.CUT


@pytest.mark.parametrize(
    ("surface", "preamble", "content"),
    [
        (CHAT, [b": OPENROUTER PROCESSING\n\n", ROLE], HELLO),
        (CHAT, [b'\xef\xbb\xbfdata:{"choices":[{"delta":{"role":"assistant"}}]}\r\n\r\n'], HELLO),
        (CHAT, [data({"choices": [], "prompt_filter_results": [{}]}), ROLE], HELLO),
        (CHAT, [ROLE], chunk(tool_calls=[{"index": 0}])),
        (CHAT, [ROLE], chunk(reasoning="hm")),
        (CHAT, [chunk(role="assistant", content=None, tool_calls=[])], chunk(refusal="No.")),
        (MESSAGES, [START, BLOCK, PING], TEXT),
        (MESSAGES, [START], event("content_block_start", content_block={"type": "tool_use", "name": "f"})),
        (
            RESPONSES,
            [
                event("response.created", response={"error": None}),
                event("response.queued"),
                event("response.in_progress"),
                event("response.output_item.added", item={"type": "message", "content": []}),
                event("response.content_part.added", part={"type": "output_text", "text": ""}),
            ],
            SAID,
        ),
        (RESPONSES, [], event("response.output_item.added", item={"type": "function_call"})),
    ],
)
def test_preamble_is_held_until_the_first_content(surface: Surface, preamble: list[bytes], content: bytes) -> None:
    """Nothing reaches the client before there is something to read; then all of it does."""
    reader = StreamReader(surface)
    assert [reader.feed(held) for held in preamble] == [b""] * len(preamble)
    assert not reader.committed
    assert reader.feed(content) == b"".join(preamble) + content
    assert reader.committed


def test_multi_line_data_is_one_event() -> None:
    """The lines of an event's data belong together, before content and after."""
    reader, out = read(CHAT, b'data: {"choices":[{"delta":\ndata: {"content":"x"}}]}\n', b"\n")
    assert reader.committed
    assert reader.feed(b'data: {"choices": [{"finish_reason":\ndata:   "stop"}]}\n\n')
    assert reader.finished
    assert out.endswith(b"\n\n")


@pytest.mark.parametrize(
    ("surface", "before", "error", "fault"),
    [
        (CHAT, ROLE, BROKEN, Fault.SERVER_ERROR),
        (CHAT, ROLE, IN_A_CHUNK, Fault.SERVER_ERROR),
        (CHAT, ROLE, b"event: error\ndata: boom\n\n", Fault.SERVER_ERROR),
        (CHAT, ROLE, chunk("error"), Fault.SERVER_ERROR),
        (CHAT, ROLE, chunk("content_filter"), Fault.CONTENT_FILTER),
        (MESSAGES, START, OVERLOADED, Fault.OVERLOADED),
        (MESSAGES, START, event("message_delta", delta={"stop_reason": "refusal"}), Fault.CONTENT_FILTER),
        (RESPONSES, b"", LIMITED, Fault.RATE_LIMITED),
        (RESPONSES, b"", FAILED, Fault.SERVER_ERROR),
        (RESPONSES, b"", FILTERED, Fault.CONTENT_FILTER),
    ],
)
def test_an_error_before_content_is_diagnosed_and_still_held(
    surface: Surface, before: bytes, error: bytes, fault: Fault
) -> None:
    """The relay may fall back, since the client has seen nothing; or it may release what was held."""
    reader, out = read(surface, before, error)
    assert out == b""
    assert reader.diagnosis is not None
    assert reader.diagnosis.fault is fault
    assert reader.end() == reader.diagnosis
    assert reader.release() == before + error


@pytest.mark.parametrize(
    ("surface", "pieces", "fault"),
    [
        (CHAT, [HELLO, BROKEN], Fault.SERVER_ERROR),
        (CHAT, [HELLO, chunk("error")], Fault.SERVER_ERROR),
        (MESSAGES, [START, TEXT, OVERLOADED], Fault.OVERLOADED),
        (RESPONSES, [SAID, LIMITED], Fault.RATE_LIMITED),
    ],
)
def test_an_error_after_content_passes_and_is_diagnosed(surface: Surface, pieces: list[bytes], fault: Fault) -> None:
    """The provider itself has told the client; the diagnosis says so to the relay."""
    reader, out = read(surface, *pieces)
    assert out == b"".join(pieces)
    assert reader.diagnosis is not None
    assert reader.diagnosis.fault is fault
    assert reader.end() == reader.diagnosis


def test_content_after_an_error_is_not_taken_for_an_answer() -> None:
    """A stream that has failed does not commit any more."""
    reader, out = read(CHAT, ROLE, BROKEN, HELLO)
    assert (out, reader.committed) == (b"", False)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", Fault.BAD_REPLY),
        (b"\n\n", Fault.BAD_REPLY),
        (ROLE + STOP + DONE, Fault.BAD_REPLY),
        (ROLE, Fault.BAD_REPLY),
        (HELLO.rstrip(), Fault.BAD_REPLY),
        (b"data: {oops\n\n", Fault.BAD_REPLY),
        (b"<html>Hello</html>", Fault.BAD_REPLY),
        (b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}', Fault.BAD_REPLY),
        (b'{"error":{"code":429,"message":"slow"}}', Fault.RATE_LIMITED),
        (BROKEN.rstrip(), Fault.SERVER_ERROR),
    ],
)
def test_a_stream_without_content_is_a_fault(body: bytes, fault: Fault) -> None:
    """Empty, HTML, plain JSON, preamble alone, an event never dispatched: the client gets none of it."""
    reader, out = read(CHAT, body)
    end = reader.end()
    assert out == b""
    assert end is not None
    assert end.fault is fault


@pytest.mark.parametrize(
    ("surface", "body"),
    [
        (CHAT, ROLE + chunk("length") + DONE),
        (MESSAGES, START + DELTA + OVER),
        (RESPONSES, event("response.incomplete", response={"output": []})),
    ],
)
def test_a_legal_answer_without_content_goes_out_whole(surface: Surface, body: bytes) -> None:
    """Hidden reasoning that used up all tokens, and Anthropic's empty turn, are answers."""
    reader, out = read(surface, body)
    assert (out, reader.end()) == (body, None)


def test_a_filter_after_content_ends_a_good_answer() -> None:
    """The client reads of it in the stream; no fault of the provider."""
    reader, _ = read(CHAT, HELLO, chunk("content_filter"), DONE)
    assert (reader.diagnosis, reader.end()) == (None, None)


@pytest.mark.parametrize(
    ("surface", "text"),
    [
        (CHAT, chunk(content='data: [DONE]\n\n"finish_reason":"stop","error":{},"usage":{}')),
        (MESSAGES, event("content_block_delta", delta={"type": "text_delta", "text": '"message_stop" "error"'})),
        (RESPONSES, event("response.output_text.delta", delta='"response.completed"')),
    ],
)
def test_words_in_the_content_are_not_taken_for_the_protocol(surface: Surface, text: bytes) -> None:
    """A text about streams ends no stream."""
    reader, _ = read(surface, text, text)
    assert reader.committed
    assert (reader.finished, reader.diagnosis, reader.usage) == (False, None, Usage())


@pytest.mark.parametrize(
    ("surface", "pieces", "usage"),
    [
        (CHAT, [HELLO, STOP, USAGE, DONE], Usage(3, 5)),
        (CHAT, [HELLO, USAGE.replace(b"[]", b'[{"finish_reason":"stop"}]')], Usage(3, 5)),
        (MESSAGES, [START, TEXT, DELTA, OVER], Usage(9, 2)),
        (RESPONSES, [SAID, COMPLETED], Usage(1, 2)),
    ],
)
def test_the_usage_of_each_family_is_read(surface: Surface, pieces: list[bytes], usage: Usage) -> None:
    """OpenAI tells it in a chunk, Anthropic at the start and at the end, Responses in the last event."""
    reader, _ = read(surface, *pieces)
    assert (reader.usage, reader.end()) == (usage, None)


def test_an_end_without_its_empty_line_is_an_end() -> None:
    """Some servers close right after the last line."""
    assert read(CHAT, HELLO, DONE.rstrip())[0].end() is None


def test_too_much_preamble_is_let_go() -> None:
    """Memory is bounded before fallbacks are possible."""
    comment = b": " + b"x" * 1000 + b"\n\n"
    pieces = [comment] * (MAX_HELD_BYTES // len(comment) + 2)
    reader, out = read(CHAT, *pieces)
    assert reader.committed
    assert out == b"".join(pieces)


def test_too_much_json_is_never_let_go_nor_kept() -> None:
    """What is no stream is diagnosed, and not held without end."""
    reader, out = read(CHAT, b'{"a":"', *[b"x" * 10_000] * 200)
    assert out == b""
    assert reader.diagnosis is not None
    assert sum(map(len, reader._held)) <= MAX_HELD_BYTES


def test_an_event_too_long_to_keep_is_known_by_its_name() -> None:
    """A whole answer with images in its last event still ends the stream."""
    head, tail = COMPLETED.split(b"{}")
    reader, _ = read(RESPONSES, SAID, head, *[b"x" * 50_000] * (MAX_EVENT_BYTES // 50_000 + 2), tail)
    assert reader.end() is None
