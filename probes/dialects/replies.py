"""What a complete answer says: whether it is one, what it cost, and which model gave it."""

from __future__ import annotations

from typing import Any, Final, assert_never

import msgspec

from probes.dialects.classify import Diagnosis, ReplyFacts, classify, looks_like_html
from probes.dialects.complaints import UNREADABLE, decode
from probes.dialects.hints import NO_CLOCK
from probes.dialects.tokens import usage_of
from probes.surfaces import Surface
from state.faults import Fault
from state.outcome import Usage

__all__ = ["Answer", "ChatMessage", "carries_something", "hidden_error", "read_reply"]

_NOTHING: Final = frozenset({b"", b"null", b'""', b"[]", b"{}"})
_ABSENT: Final = msgspec.Raw(b"")


class Answer(msgspec.Struct, frozen=True):
    """A complete answer to one call."""

    diagnosis: Diagnosis | None = None
    """None where it is a good one."""
    usage: Usage = Usage()
    model: str | None = None


class ChatMessage(msgspec.Struct, frozen=True):
    """What a chat message or a delta of one may carry, unread."""

    content: msgspec.Raw = _ABSENT
    tool_calls: msgspec.Raw = _ABSENT
    function_call: msgspec.Raw = _ABSENT
    refusal: msgspec.Raw = _ABSENT
    reasoning_content: msgspec.Raw = _ABSENT
    reasoning: msgspec.Raw = _ABSENT
    audio: msgspec.Raw = _ABSENT
    images: msgspec.Raw = _ABSENT


class _Choice(msgspec.Struct, frozen=True):
    message: ChatMessage | None = None
    finish_reason: str | None = None


class _Detail(msgspec.Struct, frozen=True):
    reason: str | None = None


class _Vector(msgspec.Struct, frozen=True):
    embedding: msgspec.Raw = _ABSENT


class _Reply(msgspec.Struct, frozen=True):
    error: Any = None
    model: str | None = None
    usage: Any = None
    service_tier: Any = None


class _Chat(_Reply, frozen=True):
    choices: list[_Choice] | None = None


class _Response(_Reply, frozen=True):
    status: str | None = None
    output: list[msgspec.Raw] | None = None
    incomplete_details: _Detail | None = None


class _Embeddings(_Reply, frozen=True):
    data: list[_Vector] | None = None


class _Message(_Reply, frozen=True):
    type: str | None = None
    stop_reason: str | None = None
    content: list[msgspec.Raw] | None = None


class _Count(_Reply, frozen=True):
    input_tokens: int | None = None


_DECODERS: Final[dict[Surface, msgspec.json.Decoder[Any]]] = {
    Surface.CHAT: msgspec.json.Decoder(_Chat),
    Surface.RESPONSES: msgspec.json.Decoder(_Response),
    Surface.EMBEDDINGS: msgspec.json.Decoder(_Embeddings),
    Surface.MESSAGES: msgspec.json.Decoder(_Message),
    Surface.COUNT_TOKENS: msgspec.json.Decoder(_Count),
}
_MUST_HAVE: Final[dict[Surface, str]] = {
    Surface.CHAT: "choices",
    Surface.RESPONSES: "output",
    Surface.EMBEDDINGS: "data",
    Surface.MESSAGES: "content",
    Surface.COUNT_TOKENS: "input_tokens",
}


def read_reply(surface: Surface, content_type: str, body: bytes) -> Answer:
    """Return what a complete 2xx body says, streamed ones excepted; never raises.

    The diagnosis is `bad_reply` for an answer that is empty, HTML, no JSON or not what was asked, `content_filter`
    for a refusal in place of an answer, and the inner fault of an error that came as a 200.
    """
    try:
        reply = _DECODERS[surface].decode(body)
    except UNREADABLE:
        return _unexpected(surface, content_type, body)
    usage = usage_of(reply.usage, reply.service_tier)
    if reply.error is not None:
        return Answer(hidden_error(surface, body), usage, reply.model)
    if isinstance(reply, _Count):
        return _read_count(reply)
    return Answer(_judge(reply, surface, body), usage, reply.model)


def hidden_error(surface: Surface, body: bytes) -> Diagnosis:
    """Return the fault that an error object means which came under a 200."""
    return classify(
        ReplyFacts(status=200, content_type="application/json", body=body, dialect=surface.dialect), now_wall=NO_CLOCK
    )


def carries_something(message: ChatMessage) -> bool:
    """Return whether there is anything in a chat message for its reader."""
    return (
        bytes(message.content) not in _NOTHING
        or bytes(message.tool_calls) not in _NOTHING
        or bytes(message.reasoning_content) not in _NOTHING
        or bytes(message.reasoning) not in _NOTHING
        or bytes(message.refusal) not in _NOTHING
        or bytes(message.function_call) not in _NOTHING
        or bytes(message.audio) not in _NOTHING
        or bytes(message.images) not in _NOTHING
    )


def _bad(reason: str) -> Diagnosis:
    return Diagnosis(Fault.BAD_REPLY, reason)


def _judge(reply: _Chat | _Message | _Response | _Embeddings, surface: Surface, body: bytes) -> Diagnosis | None:
    match reply:
        case _Chat():
            return _judge_chat(reply)
        case _Message():
            return _judge_message(reply, surface, body)
        case _Response():
            return _judge_response(reply)
        case _Embeddings():
            return _judge_embeddings(reply)
        case _:
            assert_never(reply)


def _judge_chat(reply: _Chat) -> Diagnosis | None:
    if not reply.choices:
        return _bad("200 without choices")
    reasons = {choice.finish_reason for choice in reply.choices}
    if "error" in reasons:
        return Diagnosis(Fault.SERVER_ERROR, "200 with finish_reason error")
    if any(choice.message is not None and carries_something(choice.message) for choice in reply.choices):
        return None
    if "content_filter" in reasons:
        return Diagnosis(Fault.CONTENT_FILTER, "200 with finish_reason content_filter and no content")
    # All tokens went into hidden reasoning: what was asked, and no sign of a sick provider.
    return None if "length" in reasons else _bad("200 without content or tool calls")


def _judge_message(reply: _Message, surface: Surface, body: bytes) -> Diagnosis | None:
    if reply.type == "error":
        return hidden_error(surface, body)
    if reply.stop_reason == "refusal":
        return Diagnosis(Fault.CONTENT_FILTER, "200 with stop_reason refusal")
    if reply.content is None:
        return _bad("200 without content blocks")
    # An empty list with a reason to stop is Anthropic's way to add nothing, as after a tool result.
    return None if reply.content or reply.stop_reason else _bad("200 without content or stop_reason")


def _judge_response(reply: _Response) -> Diagnosis | None:
    if reply.status == "failed":
        return Diagnosis(Fault.SERVER_ERROR, "200 with status failed")
    if reply.output:
        return None
    if reply.incomplete_details is not None and reply.incomplete_details.reason == "content_filter":
        return Diagnosis(Fault.CONTENT_FILTER, "200 with incomplete_details content_filter")
    # `queued` and `in_progress` answer a background request, `incomplete` one with too few tokens.
    unfinished = reply.status not in {None, "completed"} and reply.output is not None
    return None if unfinished else _bad("200 without output")


def _judge_embeddings(reply: _Embeddings) -> Diagnosis | None:
    if reply.data and all(bytes(vector.embedding) not in _NOTHING for vector in reply.data):
        return None
    return _bad("200 without embeddings")


def _read_count(reply: _Count) -> Answer:
    if reply.input_tokens is None:
        return Answer(_bad("200 without input_tokens"))
    return Answer(None, Usage(reply.input_tokens), reply.model)


def _unexpected(surface: Surface, content_type: str, body: bytes) -> Answer:
    """Say what a body is that does not have the types of an answer; a foreign type alone condemns nothing."""
    if not body.strip():
        return Answer(_bad("200 with an empty body"))
    if looks_like_html(content_type, body):
        return Answer(_bad("200 with an HTML page instead of JSON"))
    value = decode(body)
    if isinstance(value, dict) and not value.get("error") and value.get(_MUST_HAVE[surface]):
        return Answer()
    if isinstance(value, (dict, list, str)):
        return Answer(hidden_error(surface, body))
    return Answer(_bad("200 with a body that is not JSON, or cut short"))
