"""The text of an answer: of a whole one, and of a stream as it passes."""

from __future__ import annotations

from typing import Any, Final

from probes.dialects.complaints import decode
from probes.dialects.sse import EventSplitter, fields_of
from probes.surfaces import Surface

__all__ = ["MOST_CHARACTERS", "TextSoFar", "text_of"]

MOST_CHARACTERS: Final = 1 << 20
"""A longer text is neither kept nor continued."""
_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {})
_STOPS: Final = ("stop", "length")
_WHOLE: Final = frozenset({"end_turn", "stop_sequence"})
_UNPLAIN_DELTAS: Final = ("tool_calls", "function_call", "refusal", "audio", "reasoning_content", "reasoning")
_SILENT_RESPONSE_EVENTS: Final = (
    "response.created",
    "response.in_progress",
    "response.queued",
    "response.content_part",
    "response.output_text.done",
    "response.output_item",
)


def text_of(surface: Surface, body: bytes) -> str | None:
    """Return the text of a good whole answer; None where it is anything but one plain text. Never raises."""
    answer = decode(body)
    if not isinstance(answer, dict):
        return None
    match surface:
        case Surface.CHAT:
            return _chat_text(answer)
        case Surface.MESSAGES:
            whole = str(answer.get("stop_reason")) in _WHOLE
            return _joined(answer.get("content"), "text") if whole else None
        case Surface.RESPONSES:
            return _response_text(answer)
        case _:
            return None


def _chat_text(answer: dict[str, Any]) -> str | None:
    choices = answer.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return None
    message = choices[0].get("message")
    if not isinstance(message, dict) or choices[0].get("finish_reason") != "stop":
        return None
    if any(message.get(name) not in _NOTHING for name in ("tool_calls", "function_call", "refusal", "audio")):
        return None
    return _kept(message.get("content"))


def _response_text(answer: dict[str, Any]) -> str | None:
    items = answer.get("output")
    if answer.get("status") != "completed" or not isinstance(items, list):
        return None
    spoken = [item for item in items if isinstance(item, dict) and item.get("type") != "reasoning"]
    if len(spoken) != 1 or spoken[0].get("type") != "message":
        return None
    return _joined(spoken[0].get("content"), "output_text")


def _joined(parts: object, kind: str) -> str | None:
    if not isinstance(parts, list):
        return None
    if not all(
        isinstance(part, dict) and part.get("type") == kind and isinstance(part.get("text"), str) for part in parts
    ):
        return None
    return _kept("".join(part["text"] for part in parts))


def _kept(text: object) -> str | None:
    return text if isinstance(text, str) and 0 < len(text) <= MOST_CHARACTERS else None


class TextSoFar:
    """Collects the text of one stream.

    plain: nothing but text of one choice, or one block, has come.
    finished: the stream has said that it is complete, and not for want of tokens.
    stopped: it has said why it stops, whatever that is: nothing is missing but its last event.
    """

    def __init__(self, surface: Surface) -> None:
        """Expect a stream of `surface`."""
        self._surface = surface
        self._splitter = EventSplitter()
        self._pieces: list[str] = []
        self._length = 0
        self.plain = True
        self.finished = False
        self.stopped = False

    @property
    def text(self) -> str:
        """What was said so far."""
        return "".join(self._pieces)

    def feed(self, piece: bytes) -> None:
        """Take in a piece of the stream, as it went to the client."""
        for event in self._splitter.feed(piece):
            value = decode(fields_of(event)[1])
            if isinstance(value, dict) and self.plain:
                self._read(value)

    def _read(self, event: dict[str, Any]) -> None:
        match self._surface:
            case Surface.CHAT:
                self._read_chunk(event)
            case Surface.MESSAGES:
                self._read_message(event)
            case Surface.RESPONSES:
                self._read_response(event)
            case _:
                self.plain = False

    def _read_chunk(self, chunk: dict[str, Any]) -> None:
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                continue
            delta = choice.get("delta")
            delta = delta if isinstance(delta, dict) else {}
            if choice.get("index", 0) != 0 or any(delta.get(name) not in _NOTHING for name in _UNPLAIN_DELTAS):
                self._give_up()
                return
            self._add(delta.get("content"))
            self.finished = self.finished or choice.get("finish_reason") == "stop"
            self.stopped = self.stopped or choice.get("finish_reason") in _STOPS

    def _read_message(self, event: dict[str, Any]) -> None:
        delta = event.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        match event.get("type"):
            case "content_block_start":
                block = event.get("content_block")
                if event.get("index", 0) != 0 or not isinstance(block, dict) or block.get("type") != "text":
                    self._give_up()
                else:
                    self._add(block.get("text"))
            case "content_block_delta":
                if delta.get("type") == "text_delta":
                    self._add(delta.get("text"))
                else:
                    self._give_up()
            case "message_delta":
                self.finished = str(delta.get("stop_reason")) in _WHOLE
                self.stopped = self.stopped or isinstance(delta.get("stop_reason"), str)
            case _:
                pass

    def _read_response(self, event: dict[str, Any]) -> None:
        kind = str(event.get("type"))
        if kind == "response.output_text.delta":
            self._add(event.get("delta"))
        elif kind == "response.completed":
            self.finished = self.stopped = True
        elif not kind.startswith(_SILENT_RESPONSE_EVENTS):
            self._give_up()

    def _add(self, text: object) -> None:
        if not isinstance(text, str) or not text:
            return
        self._pieces.append(text)
        self._length += len(text)
        if self._length > MOST_CHARACTERS:
            self._give_up()

    def _give_up(self) -> None:
        self.plain = False
        self._pieces = []
