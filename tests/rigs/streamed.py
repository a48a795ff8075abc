"""Events of streams, as providers write them, and readers to feed them to."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from probes.dialects.streams import StreamReader
from probes.surfaces import Surface
from state.faults import Fault
from state.outcome import Usage

Seen = tuple[bytes, bool, bool, Usage, Fault | None, Fault | None]


def data(value: dict[str, Any]) -> bytes:
    """Return an event without a name."""
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def event(kind: str, **members: Any) -> bytes:
    """Return an event whose name is its type."""
    return f"event: {kind}\n".encode() + data({"type": kind, **members})


def chunk(finish_reason: str | None = None, /, **delta: Any) -> bytes:
    """Return a chunk of a chat completion."""
    return data({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})


ROLE = chunk(role="assistant", content="")
HELLO = chunk(content="Hello")
STOP = chunk("stop")
USAGE = data({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}})
DONE = b"data: [DONE]\n\n"
BROKEN = data({"error": {"message": "x", "type": "server_error", "code": "server_error"}})

START = event("message_start", message={"content": [], "usage": {"input_tokens": 9}})
BLOCK = event("content_block_start", content_block={"type": "text", "text": ""})
PING = event("ping")
TEXT = event("content_block_delta", delta={"type": "text_delta", "text": "Hi"})
DELTA = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})
OVER = event("message_stop")
OVERLOADED = event("error", error={"type": "overloaded_error", "message": "Overloaded"})

SAID = event("response.output_text.delta", delta="Hi")
COMPLETED = event("response.completed", response={"output": [{}], "usage": {"input_tokens": 1, "output_tokens": 2}})
LIMITED = event("error", code="rate_limit_exceeded", message="x")


def read(surface: Surface, *pieces: bytes) -> tuple[StreamReader, bytes]:
    """Feed `pieces` and return the reader and all that it gave out."""
    reader = StreamReader(surface)
    return reader, b"".join([reader.feed(piece) for piece in pieces])


def seen(surface: Surface, pieces: list[bytes]) -> Seen:
    """Return everything that a reader makes of a stream."""
    reader, out = read(surface, *pieces)
    end = reader.end()
    noted = reader.diagnosis.fault if reader.diagnosis else None
    return out, reader.committed, reader.finished, reader.usage, noted, end.fault if end else None


def cut_at(stream: bytes, places: list[int]) -> list[bytes]:
    """Cut a stream at places."""
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(edges)]
