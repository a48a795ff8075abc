"""What a simulated model says, in the shape of each API call: whole, and as the events of a stream."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from probes.surfaces import Surface

__all__ = ["Asked", "Said", "error_answer", "events", "whole"]

_CREATED: Final = 1_780_000_000
_DIMENSIONS: Final = 8
_json = msgspec.json.encode


class _StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class Asked(msgspec.Struct, frozen=True):
    """What a simulated model reads of a request."""

    model: str = ""
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    encoding_format: str | None = None
    input: Any = None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One answer before it takes a shape."""

    serial: int
    model: str
    words: tuple[str, ...]
    prompt_tokens: int
    asked: Asked

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.words)


def whole(surface: Surface, said: Said) -> bytes:
    """Return the complete answer to a plain request."""
    match surface:
        case Surface.CHAT:
            return _json(_chat(said))
        case Surface.RESPONSES:
            return _json(_response(said, "completed"))
        case Surface.EMBEDDINGS:
            return _json(_embeddings(said))
        case Surface.MESSAGES:
            return _json(_message(said, said.text, "end_turn"))
        case Surface.COUNT_TOKENS:
            return _json({"input_tokens": said.prompt_tokens})


def events(surface: Surface, said: Said) -> Iterator[bytes]:
    """Yield the stream's events as they are sent: the preamble with the first word, then a word each, then the end."""
    match surface:
        case Surface.MESSAGES:
            return _message_events(said)
        case Surface.RESPONSES:
            return _response_events(said)
        case _:
            return _chat_events(said)


def error_answer(surface: Surface, status: int, kind: str, message: str) -> bytes:
    """Return an error in the dialect of `surface`."""
    if surface in {Surface.MESSAGES, Surface.COUNT_TOKENS}:
        return _json({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_simulated"})
    return _json({"error": {"message": message, "type": kind, "param": None, "code": str(status)}})


def _usage(said: Said) -> dict[str, int]:
    completion = len(said.words)
    return {
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": said.prompt_tokens + completion,
    }


def _chat(said: Said) -> dict[str, Any]:
    message = {"role": "assistant", "content": said.text, "refusal": None}
    return {
        "id": f"chatcmpl-simulated-{said.serial}",
        "object": "chat.completion",
        "created": _CREATED,
        "model": said.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _usage(said),
    }


def _chat_chunk(said: Said, choices: list[dict[str, Any]], **more: Any) -> bytes:
    chunk = {
        "id": f"chatcmpl-simulated-{said.serial}",
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": said.model,
        "choices": choices,
        **more,
    }
    return b"data: " + _json(chunk) + b"\n\n"


def _chat_events(said: Said) -> Iterator[bytes]:
    role = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    preamble = _chat_chunk(said, [role])
    for word in said.words:
        yield preamble + _chat_chunk(said, [{"index": 0, "delta": {"content": word}, "finish_reason": None}])
        preamble = b""
    end = _chat_chunk(said, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
    if said.asked.stream_options and said.asked.stream_options.include_usage:
        end += _chat_chunk(said, [], usage=_usage(said))
    yield end + b"data: [DONE]\n\n"


def _message(said: Said, text: str | None, stop_reason: str | None) -> dict[str, Any]:
    return {
        "id": f"msg_simulated_{said.serial}",
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "content": [] if text is None else [{"type": "text", "text": text}],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": said.prompt_tokens, "output_tokens": len(said.words) if text else 0},
    }


def _named(name: str, **data: Any) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + _json({"type": name, **data}) + b"\n\n"


def _message_events(said: Said) -> Iterator[bytes]:
    preamble = _named("message_start", message=_message(said, None, None))
    preamble += _named("content_block_start", index=0, content_block={"type": "text", "text": ""}) + _named("ping")
    for word in said.words:
        yield preamble + _named("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        preamble = b""
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    yield (
        _named("content_block_stop", index=0)
        + _named("message_delta", delta=delta, usage={"output_tokens": len(said.words)})
        + _named("message_stop")
    )


def _response(said: Said, status: str) -> dict[str, Any]:
    done = status == "completed"
    return {
        "id": f"resp_simulated_{said.serial}",
        "object": "response",
        "created_at": _CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": said.model,
        "output": [_output(said)] if done else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": said.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": len(said.words),
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": said.prompt_tokens + len(said.words),
        }
        if done
        else None,
    }


def _output(said: Said) -> dict[str, Any]:
    part = {"type": "output_text", "text": said.text, "annotations": []}
    return {
        "id": f"msg_{said.serial}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }


def _response_events(said: Said) -> Iterator[bytes]:
    item = {"id": f"msg_{said.serial}", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    started = _response(said, "in_progress")
    part = {"type": "output_text", "text": "", "annotations": []}
    preamble = (
        _named("response.created", sequence_number=0, response=started)
        + _named("response.in_progress", sequence_number=1, response=started)
        + _named("response.output_item.added", sequence_number=2, output_index=0, item=item)
        + _named("response.content_part.added", sequence_number=3, part=part, **place)
    )
    number = 4
    for number, word in enumerate(said.words, 4):
        delta = _named("response.output_text.delta", sequence_number=number, delta=word, logprobs=[], **place)
        yield preamble + delta
        preamble = b""
    yield (
        _named("response.output_text.done", sequence_number=number + 1, text=said.text, logprobs=[], **place)
        + _named("response.output_item.done", sequence_number=number + 2, output_index=0, item=_output(said))
        + _named("response.completed", sequence_number=number + 3, response=_response(said, "completed"))
    )


def _embeddings(said: Said) -> dict[str, Any]:
    count = len(said.asked.input) if isinstance(said.asked.input, list) else 1
    vector = [round(1 / (place + 1), 4) for place in range(_DIMENSIONS)]
    packed: Any = vector
    if said.asked.encoding_format == "base64":
        packed = base64.b64encode(struct.pack(f"<{_DIMENSIONS}f", *vector)).decode()
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": packed} for index in range(count)],
        "model": said.model,
        "usage": {"prompt_tokens": said.prompt_tokens, "total_tokens": said.prompt_tokens},
    }
