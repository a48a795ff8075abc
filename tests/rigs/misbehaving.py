"""How providers misbehave at the level of bytes, in both dialects: scripts for the peers of `tests.rigs.peers`.

    async with peer(behaviours(Part(Tongue.OPENAI, Manner.PLAIN))["reset_before_headers"]) as bad:
        ...  # a provider of the daemon's has bad.base_url as its base_url
        assert len(bad.heard) == 1

`behaviours` fail before the client has anything, `broken_streams` after it has content, `odd_ones` not at all.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, NamedTuple

from tests.rigs.peers import Close, Dribble, HalfClose, Reset, Script, Send, answer, chunk, chunked, head

__all__ = [
    "BEGUN",
    "NOT_TLS",
    "PARTS",
    "SAID",
    "Manner",
    "Part",
    "Tongue",
    "behaviours",
    "broken_streams",
    "good",
    "odd_ones",
    "speech",
    "status_answer",
]

SAID = "well said"
"""What a good answer says."""
BEGUN = "well "
"""What has been said when a stream breaks."""
NOT_TLS = [Send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")]
"""How a plain port greets: whoever begins a TLS handshake reads this in its place."""
_JSON = "content-type: application/json"
_SSE = "content-type: text/event-stream"
_HTML = b"<!DOCTYPE html><html><body>Bad gateway</body></html>"


class Tongue(StrEnum):
    """The dialect that an upstream speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Manner(StrEnum):
    """How an answer comes."""

    PLAIN = "plain"
    STREAMED = "streamed"


class Part(NamedTuple):
    """The role that an upstream plays."""

    tongue: Tongue
    manner: Manner

    def __str__(self) -> str:
        """Return it as a part of a name."""
        return f"{self.tongue}-{self.manner}"


PARTS = tuple(Part(tongue, manner) for tongue in Tongue for manner in Manner)
"""All four of them."""


class Speech(NamedTuple):
    """A streamed answer, event by event."""

    preamble: bytes
    begun: bytes
    """The event that says `BEGUN`."""
    rest: bytes
    """The event that says the rest of `SAID`."""
    end: bytes
    error: bytes
    """The event of a server that breaks."""


def _data(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _named(value: dict[str, Any]) -> bytes:
    return b"event: %b\n%b" % (str(value["type"]).encode(), _data(value))


def _piece(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return _data({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices})


def _word(text: str) -> bytes:
    return _named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})


_MESSAGE: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
_USAGE = {"input_tokens": 3, "output_tokens": 2}
_STARTED: dict[str, Any] = {**_MESSAGE, "content": [], "stop_reason": None, "usage": _USAGE}
_BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
_OVER = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": _USAGE}
_SPEECHES = {
    Tongue.OPENAI: Speech(
        preamble=_piece({"role": "assistant", "content": ""}),
        begun=_piece({"content": BEGUN}),
        rest=_piece({"content": SAID.removeprefix(BEGUN)}),
        end=_piece({}, "stop") + b"data: [DONE]\n\n",
        error=_data({"error": {"message": "broken inside", "type": "server_error", "param": None, "code": None}}),
    ),
    Tongue.ANTHROPIC: Speech(
        preamble=_named({"type": "message_start", "message": _STARTED}) + _named(_BLOCK) + _named({"type": "ping"}),
        begun=_word(BEGUN),
        rest=_word(SAID.removeprefix(BEGUN)),
        end=_named({"type": "content_block_stop", "index": 0}) + _named(_OVER) + _named({"type": "message_stop"}),
        error=_named({"type": "error", "error": {"type": "api_error", "message": "broken inside"}}),
    ),
}


def speech(tongue: Tongue) -> Speech:
    """Return the events of a good streamed answer."""
    return _SPEECHES[tongue]


def _body(tongue: Tongue) -> bytes:
    if tongue is Tongue.ANTHROPIC:
        content = [{"type": "text", "text": SAID}]
        return json.dumps({**_MESSAGE, "content": content, "stop_reason": "end_turn", "usage": _USAGE}).encode()
    choices = [{"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    whole = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage}
    return json.dumps(whole).encode()


def _bytes_of(part: Part, *headers: str) -> bytes:
    """Return a whole good answer."""
    if part.manner is Manner.PLAIN:
        return answer(_body(part.tongue), _JSON, *headers)
    return chunked(*speech(part.tongue)[:4], headers=[_SSE, *headers])


def good(part: Part) -> Script:
    """Return the script of a good answer."""
    return [Send(_bytes_of(part))]


def odd_ones(part: Part) -> dict[str, Script]:
    """Return what is unusual and a whole answer all the same, by name."""
    whole = _bytes_of(part)
    alive = _bytes_of(part, "connection: keep-alive", "keep-alive: timeout=5, max=100")
    scripts: dict[str, Script] = {
        "trickle": [Dribble(whole)],
        "close_despite_keep_alive": [Send(alive), Close()],
        "half_close_after": [Send(whole), HalfClose()],
        "reset_after_the_end": [Send(whole), Reset()],
    }
    if part.manner is Manner.STREAMED:
        events = b"".join(speech(part.tongue)[:4])
        scripts["length_too_long_after_the_end"] = [Send(_lengthy(_SSE, events, len(events) + 99)), Close()]
    return scripts


def _lengthy(kind: str, body: bytes, length: int) -> bytes:
    return head(kind, f"content-length: {length}") + body


def status_answer(tongue: Tongue, status: str, kind: str = "server_error", *headers: str) -> bytes:
    """Return an error answer in the dialect's shape; `kind` is its code where it is one, and its type."""
    error: dict[str, Any] = {"message": f"the upstream says {kind}", "type": kind}
    if tongue is Tongue.OPENAI:
        body: dict[str, Any] = {"error": {**error, "param": None, "code": kind}}
    else:
        body = {"type": "error", "error": error, "request_id": "req_up"}
    return answer(json.dumps(body).encode(), _JSON, *headers, status=status)


def behaviours(part: Part) -> dict[str, Script]:
    """Return what fails before the client has anything of it, by name."""
    error = json.dumps({"error": {"message": "broken inside", "type": "server_error", "code": None}}).encode()
    scripts: dict[str, Script] = {
        "reset_before_headers": [Reset()],
        "close_before_headers": [Close()],
        "half_close_before_headers": [HalfClose()],
        "cut_within_headers": [Send(b"HTTP/1.1 200 OK\r\ncontent-ty"), Reset()],
        "garbage_status_line": [Send(b"SSH-2.0-OpenSSH_9\r\n\r\n"), Close()],
        "stall_before_headers": [],
        "stall_within_headers": [Send(b"HTTP/1.1 200 OK\r\n")],
        "html_200": [Send(answer(_HTML, "content-type: text/html"))],
        "html_502": [Send(answer(_HTML, "content-type: text/html", status="502 Bad Gateway"))],
        "empty_200": [Send(answer(b"", _JSON))],
        "error_in_200": [Send(answer(error, _JSON))],
    }
    return scripts | (_bad_bodies(part.tongue) if part.manner is Manner.PLAIN else _bad_openings(part.tongue))


def _bad_bodies(tongue: Tongue) -> dict[str, Script]:
    body = _body(tongue)
    begun = head(_JSON, "transfer-encoding: chunked") + chunk(body[:20])
    return {
        "reset_after_headers": [Send(head(_JSON, f"content-length: {len(body)}")), Reset()],
        "reset_mid_chunk": [Send(begun + chunk(body[20:])[:20]), Reset()],
        "malformed_chunk": [Send(begun + b"not a size\r\n")],
        "length_too_short": [Send(_lengthy(_JSON, body[: len(body) // 2], len(body) // 2)), Close()],
        "length_too_long": [Send(_lengthy(_JSON, body, len(body) + 99)), Close()],
        "stall_after_headers": [Send(head(_JSON, f"content-length: {len(body)}"))],
        "stall_mid_body": [Send(begun)],
    }


def _bad_openings(tongue: Tongue) -> dict[str, Script]:
    events = speech(tongue)
    opened = head(_SSE, "transfer-encoding: chunked")
    begun = opened + chunk(events.preamble)
    return {
        "empty_stream": [Send(chunked(headers=[_SSE]))],
        "reset_after_headers": [Send(opened), Reset()],
        "reset_mid_chunk": [Send(begun + chunk(events.begun)[:20]), Reset()],
        "malformed_chunk": [Send(begun + b"not a size\r\n")],
        "length_too_short": [Send(_lengthy(_SSE, events.preamble + events.begun, len(events.preamble) + 9)), Close()],
        "stall_after_headers": [Send(opened)],
        "stall_after_preamble": [Send(begun)],
        "preamble_only": [Send(begun + b"0\r\n\r\n")],
        "error_before_content": [Send(begun + chunk(events.error) + b"0\r\n\r\n")],
    }


def broken_streams(tongue: Tongue) -> dict[str, Script]:
    """Return the streams that break after content, by name."""
    events = speech(tongue)
    begun = head(_SSE, "transfer-encoding: chunked") + chunk(events.preamble) + chunk(events.begun)
    return {
        "reset_after_content": [Send(begun), Reset()],
        "close_after_content": [Send(begun), Close()],
        "cut_mid_event": [Send(begun + chunk(events.rest[:20])), Close()],
        "malformed_chunk_after_content": [Send(begun + b"not a size\r\n")],
        "no_finish": [Send(begun + chunk(events.rest) + b"0\r\n\r\n")],
        "error_after_content": [Send(begun + chunk(events.error) + b"0\r\n\r\n")],
        "stall_after_content": [Send(begun)],
    }
