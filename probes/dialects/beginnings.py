"""The beginning of a stream, overheard before the client hears it: enough of it to judge the answer by."""

from __future__ import annotations

from typing import Any, Final

from probes.dialects.complaints import decode
from probes.dialects.saying import Said, logprobs_in, mean, spoken, texts_in
from probes.dialects.sse import fields_of
from probes.surfaces import Surface

__all__ = ["Beginning"]

_UNSPOKEN: Final = ("tool_calls", "function_call", "audio")
_OWN_BLOCKS: Final = ("text", "thinking", "redacted_thinking")
_OWN_ITEMS: Final = ("message", "reasoning")


class Beginning:
    """Collects what the beginning of one stream says.

    enough: so many characters of text have come, or what no more text would change: a refusal, or a tool call.
    """

    def __init__(self, surface: Surface, characters: int) -> None:
        """Listen to a stream of `surface` until it has said `characters` of text, thinking apart."""
        self._surface = surface
        self._characters = characters
        self._text = ""
        self._logprobs: list[float] = []
        self._refused = False
        self._others = False

    @property
    def enough(self) -> bool:
        """Whether it can be judged by what has come."""
        return self._refused or self._others or len(spoken(self._text)) >= self._characters

    @property
    def said(self) -> Said:
        """What it says so far."""
        return Said(text=spoken(self._text), refused=self._refused, others=self._others, logprob=mean(self._logprobs))

    def take(self, event: bytes) -> None:
        """Listen to one event. Never raises: what cannot be read says nothing."""
        value = decode(fields_of(event)[1])
        if not isinstance(value, dict):
            return
        match self._surface:
            case Surface.CHAT:
                self._take_chunk(value)
            case Surface.MESSAGES:
                self._take_message(str(value.get("type")), value)
            case Surface.RESPONSES:
                self._take_response(str(value.get("type")), value)
            case _:
                self._others = True

    def _take_chunk(self, chunk: dict[str, Any]) -> None:
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict) or choice.get("index", 0) != 0:
                continue
            delta = _dict(choice, "delta")
            self._text += texts_in(delta.get("content"))
            self._logprobs.extend(logprobs_in(_dict(choice, "logprobs").get("content")))
            filtered = choice.get("finish_reason") == "content_filter"
            self._refused = self._refused or filtered or bool(delta.get("refusal"))
            self._others = self._others or any(delta.get(name) for name in _UNSPOKEN)

    def _take_message(self, kind: str, event: dict[str, Any]) -> None:
        match kind:
            case "content_block_start":
                block = _dict(event, "content_block")
                self._others = self._others or block.get("type") not in _OWN_BLOCKS
                self._text += texts_in(block.get("text"))
            case "content_block_delta":
                delta = _dict(event, "delta")
                self._text += texts_in(delta.get("text")) if delta.get("type") == "text_delta" else ""
            case "message_delta":
                self._refused = self._refused or _dict(event, "delta").get("stop_reason") == "refusal"
            case _:
                pass

    def _take_response(self, kind: str, event: dict[str, Any]) -> None:
        match kind:
            case "response.output_text.delta":
                self._text += texts_in(event.get("delta"))
                self._logprobs.extend(logprobs_in(event.get("logprobs")))
            case "response.refusal.delta" | "response.refusal.done":
                self._refused = True
            case "response.output_item.added":
                self._others = self._others or _dict(event, "item").get("type") not in _OWN_ITEMS
            case _:
                pass


def _dict(holder: dict[str, Any], key: str) -> dict[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}
