"""What is read of a request to judge how much of a model it needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from probes.surfaces import Surface

__all__ = ["HEAD", "TAIL", "Asked", "asked_of", "bounded"]

HEAD: Final = 4096
"""Characters kept of the beginning of the last user text: instructions stand there."""
TAIL: Final = 1024
"""Characters kept of its end: where a document was pasted, the question often follows it."""
_MOST_TOKENS: Final = 10_000_000
"""A limit on an answer above this is no limit that any model knows, and is not believed."""
_ITEMS: Final = {Surface.RESPONSES: "input", Surface.EMBEDDINGS: "input"}
_TOOL_RESULTS: Final = frozenset({"function_call_output", "custom_tool_call_output", "tool_result"})
_IMAGES: Final = frozenset({"image", "image_url", "input_image"})
_TEXTUAL: Final = frozenset({"input_text", "text"})
_LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_TOOLS: Final = frozenset({"tool", "function"})
_INSTRUCTING: Final = frozenset({"system", "developer"})


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks, as far as it is read; lengths are in characters, None stands for what was not said."""

    text: str = ""
    """The last text that the user wrote, its middle left out where it is long."""
    turns: int = 0
    """How many of the messages are the user's own words."""
    chars: int = 0
    """All text in the messages, the system's prompt not counted."""
    system_chars: int = 0
    tools: int = 0
    tool_results: int = 0
    schema: bool = False
    """Whether the answer has to be JSON of a given shape."""
    images: int = 0
    max_tokens: int | None = None

    def __repr__(self) -> str:
        """Show no word of the prompt: this may end up in a log."""
        return f"Asked({len(self.text)} characters, {self.turns} turns, {self.tools} tools)"


class _Read:
    """What was counted so far of a request's messages."""

    __slots__ = ("chars", "images", "results", "system", "text", "turns")

    def __init__(self) -> None:
        self.text = ""
        self.turns = self.chars = self.system = self.results = self.images = 0


def asked_of(surface: Surface, body: bytes) -> Asked:
    """Return what `body` asks of `surface`; bytes that cannot be read ask nothing."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Asked()
    if not isinstance(found, dict):
        return Asked()
    read = _Read()
    for told in (found.get("system"), found.get("instructions")):
        read.system += sum(map(len, _texts(told)))
    for item in _items(found.get(_ITEMS.get(surface, "messages"))):
        _take(read, item)
    return Asked(
        text=bounded(read.text),
        turns=read.turns,
        chars=read.chars,
        system_chars=read.system,
        tools=_length(found.get("tools")) or _length(found.get("functions")),
        tool_results=read.results,
        schema=_has_schema(found),
        images=read.images,
        max_tokens=_limit(found),
    )


def bounded(text: str) -> str:
    """Return `text` without its middle where it is longer than what is read."""
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"


def _items(said: object) -> Iterable[Mapping[str, Any]]:
    if isinstance(said, str):
        return ({"role": "user", "content": said},)
    return (item for item in said if isinstance(item, dict)) if isinstance(said, list) else ()


def _take(read: _Read, item: Mapping[str, Any]) -> None:
    role, content = item.get("role"), item.get("content")
    if role is None and _kind(item) in _TEXTUAL:
        role, content = "user", [item]
    texts = [content] if isinstance(content, str) else list(_texts(content))
    length = sum(map(len, texts))
    role = role if isinstance(role, str) else ""
    if role in _INSTRUCTING:
        read.system += length
        return
    read.chars += length
    if role in _TOOLS or _kind(item) in _TOOL_RESULTS:
        read.results += 1
        return
    parts = content if isinstance(content, list) else ()
    read.results += sum(1 for part in parts if _kind(part) in _TOOL_RESULTS)
    read.images += sum(1 for part in parts if _kind(part) in _IMAGES)
    if role == "user" and length:
        read.turns += 1
        read.text = texts[0] if len(texts) == 1 else "\n".join(texts)


def _texts(content: object) -> Iterator[str]:
    """Return the texts of a content, whether it is one string or a list of parts."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, str):
                yield part
            elif isinstance(part, dict) and isinstance(text := part.get("text"), str):
                yield text


def _kind(part: object) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    return kind if isinstance(kind, str) else ""


def _length(said: object) -> int:
    return len(said) if isinstance(said, list) else 0


def _has_schema(found: Mapping[str, Any]) -> bool:
    """Tell whether JSON of a shape is asked, in whichever place a dialect has for it."""
    places = [found.get("response_format"), found.get("output_format")]
    holders = (found.get("text"), found.get("output_config"))
    places += [holder.get("format") for holder in holders if isinstance(holder, dict)]
    return any(_kind(place).startswith("json") for place in places)


def _limit(found: Mapping[str, Any]) -> int | None:
    for name in _LIMITS:
        said = found.get(name)
        if type(said) is int and 0 < said < _MOST_TOKENS:
            return said
    return None
