"""What a complete answer says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.dialects.replies import Answer, read_reply
from probes.surfaces import Surface
from state.faults import Fault
from state.outcome import Usage
from tests.rigs.captures import Capture, capture, captures

GOOD = [
    *((Surface.CHAT, answer) for answer in captures("chat_json", "chat_reasoning_json", "chat_tools_json")),
    *((Surface.CHAT, answer) for answer in captures("unknown_model")),
    *((Surface.MESSAGES, answer) for answer in captures("messages_json", "thinking_json", "anthropic_tools_json")),
    (Surface.RESPONSES, capture("aimock_openai_responses_json")),
    (Surface.COUNT_TOKENS, capture("llamaserver_count_tokens")),
]


def read(surface: Surface, body: object) -> Answer:
    """Read a JSON answer."""
    return read_reply(surface, "application/json", msgspec.json.encode(body))


def fault_of(surface: Surface, body: object) -> Fault | None:
    """Return the fault of a JSON answer."""
    diagnosis = read(surface, body).diagnosis
    return diagnosis.fault if diagnosis else None


def chat(finish_reason: str | None = "stop", **message: Any) -> dict[str, Any]:
    """Return a chat completion with one choice."""
    return {"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}]}


@pytest.mark.parametrize(
    ("surface", "answer"),
    [(surface, answer) for surface, answer in GOOD if answer.name != "aimock_ollama_chat_json"],
    ids=lambda value: value.name if isinstance(value, Capture) else value.name.lower(),
)
def test_every_captured_answer_is_a_good_one(surface: Surface, answer: Capture) -> None:
    """What real servers answer is never condemned."""
    assert read_reply(surface, answer.headers.get("content-type", ""), answer.body).diagnosis is None


@pytest.mark.parametrize(
    ("surface", "body"),
    [
        (Surface.CHAT, chat(content=None, tool_calls=[{"id": "1"}], finish_reason="tool_calls")),
        (Surface.CHAT, chat(content=None, function_call={"name": "f"})),
        (Surface.CHAT, chat(content=None, refusal="I cannot.")),
        (Surface.CHAT, chat(content=None, audio={"id": "a"})),
        (Surface.CHAT, chat(content="", reasoning_content="hm")),
        (Surface.CHAT, chat(content="", finish_reason="length")),
        (Surface.CHAT, chat(content=[{"type": "text", "text": "hi"}])),
        (Surface.CHAT, chat(content="half", finish_reason="content_filter")),
        (Surface.CHAT, {**chat(content="hi"), "usage": {"prompt_tokens": "3"}}),
        (Surface.CHAT, {**chat(content="hi"), "error": None, "usage": None}),
        (Surface.MESSAGES, {"type": "message", "content": [], "stop_reason": "end_turn"}),
        (Surface.MESSAGES, {"content": [{"type": "text"}], "stop_reason": "model_context_window_exceeded"}),
        (Surface.RESPONSES, {"status": "queued", "output": [], "error": None}),
        (Surface.RESPONSES, {"status": "incomplete", "output": [], "incomplete_details": {"reason": "max_tokens"}}),
        (Surface.EMBEDDINGS, {"data": [{"embedding": [0.1, 0.2]}], "usage": {"prompt_tokens": 3}}),
        (Surface.EMBEDDINGS, {"data": [{"embedding": "AACAPw=="}]}),
        (Surface.COUNT_TOKENS, {"input_tokens": 0}),
    ],
)
def test_a_legal_answer_is_not_condemned_for_being_unusual(surface: Surface, body: object) -> None:
    """Tool calls without content, refusals, hidden reasoning and foreign types are answers."""
    assert read(surface, body).diagnosis is None


@pytest.mark.parametrize(
    ("surface", "body", "fault"),
    [
        (Surface.CHAT, {"choices": []}, Fault.BAD_REPLY),
        (Surface.CHAT, {"object": "chat.completion"}, Fault.BAD_REPLY),
        (Surface.CHAT, chat(content=""), Fault.BAD_REPLY),
        (Surface.CHAT, chat(content=None, tool_calls=[]), Fault.BAD_REPLY),
        (Surface.CHAT, chat(content="", finish_reason="content_filter"), Fault.CONTENT_FILTER),
        (Surface.CHAT, chat(content="x", finish_reason="error"), Fault.SERVER_ERROR),
        (Surface.CHAT, {"error": {"code": 429, "message": "slow"}}, Fault.RATE_LIMITED),
        (Surface.CHAT, {"error": "model not found"}, Fault.SERVER_ERROR),
        (Surface.CHAT, [{"error": {"code": 503}}], Fault.OVERLOADED),
        (Surface.CHAT, [], Fault.BAD_REPLY),
        (Surface.CHAT, "hello", Fault.BAD_REPLY),
        (Surface.CHAT, 7, Fault.BAD_REPLY),
        (Surface.MESSAGES, {"type": "error", "error": {"type": "overloaded_error"}}, Fault.OVERLOADED),
        (Surface.MESSAGES, {"type": "message", "stop_reason": "refusal", "content": []}, Fault.CONTENT_FILTER),
        (Surface.MESSAGES, {"type": "message", "content": []}, Fault.BAD_REPLY),
        (Surface.MESSAGES, {"type": "message", "stop_reason": "end_turn"}, Fault.BAD_REPLY),
        (Surface.RESPONSES, {"status": "completed", "output": []}, Fault.BAD_REPLY),
        (Surface.RESPONSES, {"status": "failed", "error": {"code": "rate_limit_exceeded"}}, Fault.RATE_LIMITED),
        (Surface.RESPONSES, {"status": "failed", "error": None, "output": []}, Fault.SERVER_ERROR),
        (Surface.EMBEDDINGS, {"data": []}, Fault.BAD_REPLY),
        (Surface.EMBEDDINGS, {"data": [{"embedding": []}]}, Fault.BAD_REPLY),
        (Surface.COUNT_TOKENS, {"tokens": 3}, Fault.BAD_REPLY),
    ],
)
def test_an_answer_that_says_nothing_is_a_fault(surface: Surface, body: object, fault: Fault) -> None:
    """A 200 is judged by what is in it."""
    assert fault_of(surface, body) is fault


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b""),
        ("application/json", b"  \n"),
        ("text/html", b"<html><body>Hello CDN</body></html>"),
        ("application/json", b"<!doctype html>"),
        ("application/json", b'{"id": "chatcmpl-1", "object": "c'),
        ("text/event-stream", b'data: {"choices":[]}\n\n'),
        ("application/json", b"null"),
        ("application/json", b"\xff\xfe"),
        ("application/json", b"[" * 50_000),
    ],
)
@pytest.mark.parametrize("surface", list(Surface))
def test_what_is_not_a_json_answer_is_a_bad_reply(surface: Surface, content_type: str, body: bytes) -> None:
    """Empty, HTML, cut short, a stream, or no JSON at all."""
    diagnosis = read_reply(surface, content_type, body).diagnosis
    assert diagnosis is not None
    assert diagnosis.fault is Fault.BAD_REPLY


def test_the_tokens_and_the_model_are_read() -> None:
    """Usage and model come from the provider's own words."""
    answer = read_reply(Surface.CHAT, "application/json", capture("llamaserver_chat_json").body)
    assert answer == Answer(None, Usage(24, 8, cached_tokens=0), "tiny")


def test_anthropic_s_cached_tokens_count_as_prompt_tokens() -> None:
    """Anthropic counts cached tokens apart; a prompt is all of them."""
    answer = read_reply(Surface.MESSAGES, "application/json", capture("llamaserver_messages_json").body)
    assert answer.usage == Usage(24, 4, cached_tokens=23)


def test_counted_tokens_are_the_usage_of_count_tokens() -> None:
    """The count is of a prompt."""
    assert read(Surface.COUNT_TOKENS, {"input_tokens": 24}).usage == Usage(24)


@given(st.sampled_from(list(Surface)), st.text(max_size=20), st.binary(max_size=100))
def test_reading_never_raises_on_any_bytes(surface: Surface, content_type: str, body: bytes) -> None:
    """An answer is foreign: random bytes are a bad reply."""
    assert read_reply(surface, content_type, body).diagnosis is not None


@given(
    st.sampled_from(list(Surface)),
    st.dictionaries(
        st.sampled_from(["choices", "data", "output", "content", "usage", "error", "model", "status", "input_tokens"]),
        st.none() | st.integers() | st.text(max_size=3) | st.lists(st.none() | st.dictionaries(st.text(), st.none())),
    ),
)
def test_reading_never_raises_on_members_of_any_type(surface: Surface, body: dict[str, Any]) -> None:
    """A member of another type than documented raises nothing."""
    assert isinstance(read(surface, body), Answer)
