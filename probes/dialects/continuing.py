"""A stream that broke after content, and goes on at another target: how to ask for the rest, and how to join it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from probes.dialects.complaints import decode
from probes.dialects.sse import EventSplitter, fields_of
from probes.surfaces import Surface

__all__ = ["Splice", "continued_body", "marked"]

_NEVER: Final = ("tools", "functions", "response_format", "output_format", "output_config", "thinking", "logprobs")
"""Where the rest of an answer is more than the rest of a text."""


def continued_body(surface: Surface, body: bytes, text: str) -> bytes | None:
    """Return the request in `body` with `text` as the assistant's turn so far, None where it cannot be continued.

    Anthropic's models go on from an assistant turn that comes last (prefill) and refuse one that ends in white space;
    those that speak OpenAI's dialect are asked in the same way. Everything else stays as it was sent.
    """
    request = decode(body)
    said = text.rstrip() if surface is Surface.MESSAGES else text
    if surface not in {Surface.CHAT, Surface.MESSAGES} or not isinstance(request, dict) or not said:
        return None
    messages = request.get("messages")
    if any(request.get(name) for name in _NEVER) or str(request.get("n", 1)) not in {"None", "1"}:
        return None
    if not isinstance(messages, list) or not messages or not _is_users(messages[-1]):
        return None
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    turns = msgspec.json.decode(members["messages"], type=list[msgspec.Raw])
    turns.append(msgspec.Raw(msgspec.json.encode({"role": "assistant", "content": said})))
    members["messages"] = msgspec.Raw(msgspec.json.encode(turns))
    return msgspec.json.encode(members)


def _is_users(message: object) -> bool:
    return isinstance(message, dict) and message.get("role") == "user"


def marked(surface: Surface, note: str) -> bytes:
    """Return a comment of an event stream, which clients of every surface pass over. `note` is one line."""
    del surface  # every dialect's stream takes the same comment
    return b": " + note.encode("ascii", "replace") + b"\n\n"


class Splice:
    """Makes the stream of a second target the rest of the first one's: without its own beginning."""

    def __init__(self, surface: Surface) -> None:
        """Join streams of `surface`."""
        self._surface = surface
        self._splitter = EventSplitter()

    def feed(self, piece: bytes) -> bytes:
        """Return what of `piece` goes on: whole events, those that open an answer left out."""
        return b"".join(event for event in self._splitter.feed(piece) if not self._opens(event))

    def _opens(self, event: bytes) -> bool:
        value = decode(fields_of(event)[1])
        if not isinstance(value, dict):
            return False
        if self._surface is Surface.MESSAGES:
            kind = value.get("type")
            return kind == "message_start" or (kind == "content_block_start" and value.get("index") == 0)
        return _is_role_alone(value)


def _is_role_alone(chunk: dict[str, Any]) -> bool:
    choices = chunk.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return False
    delta = choices[0].get("delta")
    if not isinstance(delta, dict) or "role" not in delta or choices[0].get("finish_reason"):
        return False
    return not any(value for name, value in delta.items() if name != "role")
