"""Answers of OpenAI's chat dialect as scripts for peers: good ones, errors, and streams that go wrong."""

from __future__ import annotations

import json
from typing import Final

from tests.rigs.peers import Close, Script, Send, answer, chunk, head

__all__ = ["CUT", "ROLE", "SSE", "STREAM", "WELL", "done", "error", "said", "streamed", "word"]

SSE: Final = head("content-type: text/event-stream", "transfer-encoding: chunked")
_CHUNK: Final = b'data: {"choices":[{"index":0,"delta":%b,"finish_reason":%b}]}\n\n'
ROLE: Final = _CHUNK % (b'{"role":"assistant","content":""}', b"null")


def word(text: str) -> bytes:
    """Return the event that says `text`."""
    return _CHUNK % (json.dumps({"content": text}).encode(), b"null")


def done() -> bytes:
    """Return the events that end a stream."""
    return _CHUNK % (b"{}", b'"stop"') + b"data: [DONE]\n\n"


def streamed(*words: str) -> bytes:
    """Return a whole stream."""
    return SSE + b"".join(chunk(event) for event in (ROLE, *map(word, words), done())) + b"0\r\n\r\n"


def said(text: str) -> Script:
    """Return a good whole answer that says `text`."""
    message = {"role": "assistant", "content": text}
    body = {"id": "x", "object": "chat.completion", "choices": [{"index": 0, "message": message}]}
    body["choices"][0]["finish_reason"] = "stop"
    return [Send(answer(json.dumps(body).encode(), "content-type: application/json"))]


def error(status: str, *headers: str, body: bytes = b'{"error":{"message":"no","type":"server_error"}}') -> Script:
    """Return an error."""
    return [Send(answer(body, "content-type: application/json", *headers, status=status))]


WELL: Final = said("hi")
STREAM: Final = [Send(streamed("well ", "said"))]
CUT: Final = [Send(SSE + chunk(ROLE) + chunk(word("once upon"))), Close()]
"""A stream that breaks after content."""
