"""What an answer says as far as it is judged: its text, what it declines, how sure its tokens were.

Of several choices the first speaks for all. Thinking is not the answer, whether in fields of its own or in a `<think>`
at the beginning of the text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from probes.dialects.complaints import decode
from probes.surfaces import Surface

__all__ = ["Said", "logprobs_in", "mean", "said_of", "spoken", "texts_in"]

_LEAST_LOGPROB: Final = -20.0
"""Some providers say -9999 of a token outside of their list: one of those must not outweigh a hundred others."""
_THINKS: Final = "<think>"
_THOUGHT: Final = "</think>"
_OTHER_PARTS: Final = ("tool_calls", "function_call", "audio")


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer, or the beginning of one, says."""

    text: str = ""
    refused: bool = False
    """Whether the provider itself marks it as a refusal."""
    others: bool = False
    """Whether something besides text came, such as a tool call."""
    logprob: float | None = None
    """The mean log-probability of its tokens, None where the provider tells of none."""


def said_of(surface: Surface, body: bytes) -> Said:
    """Return what a whole answer says; what cannot be read is something besides text. Never raises."""
    answer = decode(body)
    if not isinstance(answer, dict):
        return Said(others=True)
    match surface:
        case Surface.CHAT:
            return _chat(answer)
        case Surface.MESSAGES:
            return _message(answer)
        case Surface.RESPONSES:
            return _response(answer)
        case _:
            return Said(others=True)


def spoken(text: str) -> str:
    """Return the text without the thinking at its beginning; nothing while that has not ended."""
    begun = text.lstrip()
    if not begun.startswith(_THINKS):
        return text
    return begun.partition(_THOUGHT)[2]


def texts_in(content: object) -> str:
    """Return the text of a `content`, which some providers give in parts."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in _dicts(content) if isinstance(part.get("text"), str))


def logprobs_in(listed: object) -> Iterator[float]:
    """Yield the log-probabilities of the tokens in a list of them, none below what one token may weigh."""
    for each in _dicts(listed):
        value = each.get("logprob")
        if isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value):
            yield max(_LEAST_LOGPROB, min(0.0, float(value)))


def mean(values: Iterable[float]) -> float | None:
    """Return the mean, None of nothing."""
    listed = list(values)
    return sum(listed) / len(listed) if listed else None


def _chat(answer: dict[str, Any]) -> Said:
    first = next(iter(_dicts(answer.get("choices"))), {})
    message = _dict(first.get("message"))
    return Said(
        text=spoken(texts_in(message.get("content"))),
        refused=bool(message.get("refusal")) or first.get("finish_reason") == "content_filter",
        others=any(message.get(name) for name in _OTHER_PARTS),
        logprob=mean(logprobs_in(_dict(first.get("logprobs")).get("content"))),
    )


def _message(answer: dict[str, Any]) -> Said:
    parts = _dicts(answer.get("content"))
    return Said(
        text=spoken(texts_in([part for part in parts if part.get("type") == "text"])),
        refused=answer.get("stop_reason") == "refusal",
        others=any(part.get("type") not in ("text", "thinking", "redacted_thinking") for part in parts),
    )


def _response(answer: dict[str, Any]) -> Said:
    items = _dicts(answer.get("output"))
    parts = [part for item in items if item.get("type") == "message" for part in _dicts(item.get("content"))]
    texts = [part for part in parts if part.get("type") == "output_text"]
    return Said(
        text=spoken(texts_in(texts)),
        refused=any(part.get("type") == "refusal" for part in parts),
        others=any(item.get("type") not in ("message", "reasoning") for item in items),
        logprob=mean(value for part in texts for value in logprobs_in(part.get("logprobs"))),
    )


def _dicts(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
