"""What one event of a stream means: preamble, content, an end, an error, or token counts."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from probes.dialects.classify import Diagnosis
from probes.dialects.complaints import UNREADABLE, decode
from probes.dialects.replies import ChatMessage, carries_something, hidden_error
from probes.dialects.sse import fields_of
from probes.dialects.tokens import usage_of
from probes.policy import Dialect
from probes.surfaces import Surface
from state.faults import Fault
from state.outcome import Usage

__all__ = ["SAYS_NOTHING", "SPEAKS", "Meaning", "read_event", "skim_event"]


class Meaning(msgspec.Struct, frozen=True):
    """What one event says. The default says nothing, as preamble does."""

    content: bool = False
    """The client must see it, or the answer is legally over without content."""
    finished: bool = False
    diagnosis: Diagnosis | None = None
    usage: Usage | None = None
    unsaid: bool = False
    """The diagnosis is one that no client's SDK raises."""


class _Choice(msgspec.Struct, frozen=True):
    finish_reason: str | None = None


class _Skimmed(msgspec.Struct, frozen=True):
    """What a chunk may say beside its content."""

    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    service_tier: Any = None


class _DeltaChoice(_Choice, frozen=True):
    delta: ChatMessage | None = None
    message: ChatMessage | None = None


class _Chunk(msgspec.Struct, frozen=True):
    choices: list[_DeltaChoice] | None = None
    usage: Any = None
    error: Any = None
    service_tier: Any = None


_SKIM: Final = msgspec.json.Decoder(_Skimmed)
_CHUNK: Final = msgspec.json.Decoder(_Chunk)
SAYS_NOTHING: Final = Meaning()
SPEAKS: Final = Meaning(content=True)
"""What `skim_event` returns for an event that carries content and nothing else."""
_FINISHED: Final = Meaning(finished=True)
_DATA: Final = b"data: {"
_NAME: Final = b"event: "
_DONE: Final = b"[DONE]"

_LAST: Final = {b"message_stop", b"response.completed", b"response.incomplete", b"response.failed"}
_TELLING: Final = frozenset({*_LAST, b"error", b"message_start", b"message_delta"})
"""The named events that say more than their content; all others pass unread once content has come."""

_SPEAKING: Final = b"delta"
_EMPTY_ITEMS: Final = frozenset({"message", "reasoning"})
_TEXTS: Final = ("delta", "text", "thinking", "refusal", "arguments", "transcript")
_EMPTY_BLOCKS: Final = frozenset({"text", "thinking"})


def skim_event(surface: Surface, event: bytes) -> Meaning | None:
    """Return what an event says beside content, read quickly; None where only `read_event` can tell."""
    if event.startswith(_DATA):
        return _skim_chunk(event[len(_DATA) - 1 :])
    # A chunk's name means nothing: only its data tells.
    if not event.startswith(_NAME) or surface is Surface.CHAT:
        return None
    name, line_end, _ = event.partition(b"\n")
    name = name[len(_NAME) :].rstrip(b"\r")
    # Lines that end in CR alone are rare enough to be read slowly.
    if name in _TELLING or not line_end or b"\r" in name:
        return None
    return SPEAKS if name.endswith(_SPEAKING) else SAYS_NOTHING


def _skim_chunk(data: bytes) -> Meaning | None:
    try:
        chunk = _SKIM.decode(data)
    except UNREADABLE:
        return None
    if chunk.choices is None or chunk.error is not None:
        return None
    finished = False
    for choice in chunk.choices:
        if choice.finish_reason:
            if choice.finish_reason == "error":
                return None
            finished = True
    if chunk.usage is None:
        if finished:
            return _FINISHED
        return SPEAKS if chunk.choices else SAYS_NOTHING
    return Meaning(finished=finished, usage=usage_of(chunk.usage, chunk.service_tier))


def read_event(surface: Surface, event: bytes) -> Meaning:
    """Return what an event means on `surface`; never raises. Events that are no JSON say nothing."""
    name, data = fields_of(event)
    if surface.dialect is Dialect.OPENAI and data.strip() == _DONE:
        return Meaning(finished=surface is not Surface.RESPONSES)
    if name == b"error":
        return Meaning(diagnosis=hidden_error(surface, _as_error(data)))
    if surface in {Surface.CHAT, Surface.EMBEDDINGS}:
        return _read_chunk(surface, data)
    value = decode(data)
    if not isinstance(value, dict):
        return Meaning(finished=name in _LAST)
    kind = value.get("type")
    kind = kind if isinstance(kind, str) else name.decode("utf-8", "replace")
    if kind == "error" or (kind != "response.failed" and value.get("error")):
        return Meaning(diagnosis=hidden_error(surface, _as_error(data)))
    return _read_response(kind, value) if surface is Surface.RESPONSES else _read_message(kind, value)


def _read_chunk(surface: Surface, data: bytes) -> Meaning:
    try:
        chunk = _CHUNK.decode(data)
    except UNREADABLE:
        return _read_strange_chunk(surface, data)
    usage = None if chunk.usage is None else usage_of(chunk.usage, chunk.service_tier)
    if chunk.error is not None:
        return Meaning(diagnosis=hidden_error(surface, _as_error(data)), usage=usage)
    choices = chunk.choices or []
    reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
    finish = "error" if "error" in reasons else next(iter(reasons), None)
    content = any(
        (choice.delta is not None and carries_something(choice.delta))
        or (choice.message is not None and carries_something(choice.message))
        for choice in choices
    )
    if finish == "error":
        wrong = Diagnosis(Fault.SERVER_ERROR, "200 with finish_reason error")
        return Meaning(content=content, finished=True, diagnosis=wrong, usage=usage, unsaid=True)
    # "length" without content: all tokens went into hidden reasoning. Legal, so what was held must go out.
    return Meaning(content or finish == "length", finish is not None, None if content else _bad_finish(finish), usage)


def _read_strange_chunk(surface: Surface, data: bytes) -> Meaning:
    """Read a chunk of unknown types: what is not understood is forwarded, not condemned."""
    value = decode(data)
    if not isinstance(value, dict):
        return SAYS_NOTHING
    if value.get("error"):
        return Meaning(diagnosis=hidden_error(surface, _as_error(data)))
    choices = value.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return Meaning(content=bool(choices), finished=isinstance(first, dict) and bool(first.get("finish_reason")))


def _bad_finish(finish: str | None) -> Diagnosis | None:
    if finish == "content_filter":
        return Diagnosis(Fault.CONTENT_FILTER, "200 with finish_reason content_filter and no content")
    return None


def _read_message(kind: str, value: dict[str, Any]) -> Meaning:
    match kind:
        case "message_start":
            message = _object(value, "message")
            return Meaning(content=bool(message.get("content")), usage=_usage(message))
        case "content_block_start":
            block = _object(value, "content_block")
            return Meaning(content=str(block.get("type")) not in _EMPTY_BLOCKS or _has_text(block))
        case "content_block_delta":
            delta = _object(value, "delta")
            return Meaning(content=str(delta.get("type")) not in {"text_delta", "thinking_delta"} or _has_text(delta))
        case "message_delta":
            return _read_message_delta(_object(value, "delta").get("stop_reason"), _usage(value))
        case "message_stop":
            return Meaning(finished=True)
        case _:
            return SAYS_NOTHING


def _read_message_delta(stop_reason: object, usage: Usage | None) -> Meaning:
    if stop_reason == "refusal":
        return Meaning(diagnosis=Diagnosis(Fault.CONTENT_FILTER, "200 with stop_reason refusal"), usage=usage)
    # A reason to stop without content is Anthropic's way to add nothing: legal, so what was held must go out.
    return Meaning(content=bool(stop_reason), usage=usage)


def _read_response(kind: str, value: dict[str, Any]) -> Meaning:
    match kind:
        case "response.created" | "response.in_progress" | "response.queued":
            return SAYS_NOTHING
        case "response.completed" | "response.incomplete" | "response.failed":
            return _read_response_end(kind, _object(value, "response"))
        case "response.output_item.added" | "response.output_item.done":
            item = _object(value, "item")
            filled = item.get("content") or item.get("summary") or item.get("encrypted_content")
            return Meaning(content=str(item.get("type")) not in _EMPTY_ITEMS or bool(filled))
        case _ if kind.endswith(("_part.added", "_part.done")):
            return Meaning(content=_has_text(_object(value, "part")))
        case _ if kind.endswith((".delta", ".done")):
            return Meaning(
                content=any(value.get(key) for key in ("delta", "text", "refusal", "arguments", "transcript"))
            )
        case _:
            return Meaning(content=kind.startswith("response."))


def _read_response_end(kind: str, response: dict[str, Any]) -> Meaning:
    usage = _usage(response)
    if kind == "response.failed":
        error = msgspec.json.encode({"error": response.get("error") or {"code": "server_error"}})
        return Meaning(finished=True, diagnosis=hidden_error(Surface.RESPONSES, error), usage=usage)
    reason = _object(response, "incomplete_details").get("reason")
    if reason == "content_filter" and not response.get("output"):
        diagnosis = Diagnosis(Fault.CONTENT_FILTER, "200 with incomplete_details content_filter")
        return Meaning(finished=True, diagnosis=diagnosis, usage=usage)
    return Meaning(bool(response.get("output")) or kind == "response.incomplete", finished=True, usage=usage)


def _as_error(data: bytes) -> bytes:
    """Return an error event's data in a shape that says it is an error."""
    value = decode(data)
    if isinstance(value, dict) and (value.get("error") or value.get("type") == "error"):
        return data
    return msgspec.json.encode({"error": value or {"code": "server_error"}})


def _usage(holder: dict[str, Any]) -> Usage | None:
    counted = holder.get("usage")
    return None if counted is None else usage_of(counted, holder.get("service_tier"))


def _object(holder: dict[str, Any], key: str) -> dict[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def _has_text(holder: dict[str, Any]) -> bool:
    return any(holder.get(key) for key in _TEXTS)
