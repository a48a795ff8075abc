"""A text in the shape of an answer: whole, or as a complete stream, so that each dialect's own client reads it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from probes.dialects.complaints import decode
from probes.surfaces import Surface

__all__ = ["Rendered", "render_stream", "render_whole", "wants_usage"]

_json: Final = msgspec.json.encode
_NO_USAGE: Final = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
_NO_TOKENS: Final = {"input_tokens": 0, "output_tokens": 0}


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said, and about what."""

    surface: Surface
    model: str
    text: str
    request_id: str
    created: int
    """Unix seconds."""
    include_usage: bool = False
    """Whether the client wants a last chunk with token counts (OpenAI's `stream_options`)."""


def wants_usage(body: bytes) -> bool:
    """Return whether the request in `body` asks for a last chunk with token counts. Never raises."""
    request = decode(body)
    options = request.get("stream_options") if isinstance(request, dict) else None
    return isinstance(options, dict) and options.get("include_usage") is True


def render_whole(rendered: Rendered) -> bytes:
    """Return the complete JSON body of an answer that says the text and used no tokens."""
    match rendered.surface:
        case Surface.MESSAGES:
            return _json(_message(rendered, _text_block(rendered.text), "end_turn"))
        case Surface.RESPONSES:
            return _json(_response(rendered, "completed"))
        case _:
            message = {"role": "assistant", "content": rendered.text, "refusal": None}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            return _json({**_head(rendered, "chat.completion"), "choices": [choice], "usage": _NO_USAGE})


def render_stream(rendered: Rendered) -> bytes:
    """Return a complete stream of server-sent events that says the text."""
    match rendered.surface:
        case Surface.MESSAGES:
            return _message_stream(rendered)
        case Surface.RESPONSES:
            return _response_stream(rendered)
        case _:
            return _chat_stream(rendered)


def _head(rendered: Rendered, kind: str) -> dict[str, Any]:
    head = {"id": f"chatcmpl-{rendered.request_id}", "object": kind, "created": rendered.created}
    return {**head, "model": rendered.model}


def _chat_stream(rendered: Rendered) -> bytes:
    head = _head(rendered, "chat.completion.chunk")
    deltas: tuple[tuple[dict[str, str], str | None], ...] = (
        ({"role": "assistant", "content": ""}, None),
        ({"content": rendered.text}, None),
        ({}, "stop"),
    )
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]} for delta, end in deltas]
    if rendered.include_usage:
        chunks.append({**head, "choices": [], "usage": _NO_USAGE})
    return b"".join(b"data: " + _json(chunk) + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def _text_block(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}]


def _message(rendered: Rendered, content: list[dict[str, Any]], stop_reason: str | None) -> dict[str, Any]:
    return {
        "id": f"msg_{rendered.request_id}",
        "type": "message",
        "role": "assistant",
        "model": rendered.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": _NO_TOKENS,
    }


def _message_stream(rendered: Rendered) -> bytes:
    return _named(
        {"type": "message_start", "message": _message(rendered, [], None)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": rendered.text}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 0},
        },
        {"type": "message_stop"},
    )


def _response(rendered: Rendered, status: str) -> dict[str, Any]:
    return {
        "id": f"resp_{rendered.request_id}",
        "object": "response",
        "created_at": rendered.created,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": rendered.model,
        "output": [_item(rendered, status)] if status == "completed" else [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": {
            **_NO_TOKENS,
            "total_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
        if status == "completed"
        else None,
    }


def _item(rendered: Rendered, status: str) -> dict[str, Any]:
    parts = [_part(rendered.text)] if status == "completed" else []
    head = {"id": f"msg_{rendered.request_id}", "type": "message", "status": status}
    return {**head, "role": "assistant", "content": parts}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _response_stream(rendered: Rendered) -> bytes:
    place = {"item_id": f"msg_{rendered.request_id}", "output_index": 0, "content_index": 0}
    text = rendered.text
    events: tuple[dict[str, Any], ...] = (
        {"type": "response.created", "response": _response(rendered, "in_progress")},
        {"type": "response.in_progress", "response": _response(rendered, "in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": _item(rendered, "in_progress")},
        {"type": "response.content_part.added", **place, "part": _part("")},
        {"type": "response.output_text.delta", **place, "delta": text, "logprobs": []},
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": _part(text)},
        {"type": "response.output_item.done", "output_index": 0, "item": _item(rendered, "completed")},
        {"type": "response.completed", "response": _response(rendered, "completed")},
    )
    return _named(*({**event, "sequence_number": number} for number, event in enumerate(events)))


def _named(*events: dict[str, Any]) -> bytes:
    return b"".join(b"event: " + event["type"].encode() + b"\ndata: " + _json(event) + b"\n\n" for event in events)
