"""What a provider of the story says, in the shapes of OpenAI's chat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from benchmarks.routing.world import PROBE_PROMPT, Attempt, Fate
from benchmarks.story.script import MODEL

__all__ = ["ending", "error", "events", "whole"]

_PIECE_S: Final = 0.05
"""Tokens that are due within so many seconds come in one event: what is measured is no flood of events."""
_KINDS: Final = {500: "server_error", 503: "overloaded_error", 429: "rate_limit_error"}
_json = msgspec.json.encode


def error(fate: Fate) -> bytes:
    """Return the body of a refusal."""
    return _json({"error": {"message": f"played: {fate.kind}", "type": _KINDS[fate.status or 500], "code": None}})


def whole(attempt: Attempt, fate: Fate) -> bytes:
    """Return an answer that is not streamed."""
    choice = {"index": 0, "message": _words(fate.tokens), "finish_reason": "stop"}
    said = {"id": "story", "object": "chat.completion", "created": 0, "model": MODEL}
    return _json({**said, "choices": [choice], "usage": _usage(attempt, fate)})


def events(fate: Fate) -> Iterator[tuple[float, bytes]]:
    """Yield the events of a stream, each with when it is due; the first brings the first token alone."""
    first_s = fate.first_s or 0.0
    token_s = (fate.ends_s - first_s) / max(1, fate.tokens)
    at_once = max(1, round(_PIECE_S / token_s)) if token_s else fate.tokens
    yield first_s, _event({"index": 0, "delta": _words(1), "finish_reason": None})
    for sent in range(1, fate.tokens, at_once):
        count = min(at_once, fate.tokens - sent)
        yield first_s + (sent + count) * token_s, _event({"index": 0, "delta": _words(count), "finish_reason": None})


def ending(attempt: Attempt, fate: Fate) -> bytes:
    """Return how a stream ends that is not cut: the reason, what was used, and the last word."""
    end = _event({"index": 0, "delta": {}, "finish_reason": "stop"})
    return end + _event(usage=_usage(attempt, fate)) + b"data: [DONE]\n\n"


def _event(*choices: dict[str, Any], **more: Any) -> bytes:
    said = {"id": "story", "object": "chat.completion.chunk", "created": 0, "model": MODEL, "choices": choices, **more}
    return b"data: " + _json(said) + b"\n\n"


def _words(count: int) -> dict[str, str]:
    return {"role": "assistant", "content": " word" * count}


def _usage(attempt: Attempt, fate: Fate) -> dict[str, int]:
    prompt = attempt.prompt_tokens if attempt.request else PROBE_PROMPT
    return {"prompt_tokens": prompt, "completion_tokens": fate.tokens, "total_tokens": prompt + fate.tokens}
