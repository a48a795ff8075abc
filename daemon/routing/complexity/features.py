"""What is read of a request to judge how hard it is: the last thing asked, and the shape of what is around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from probes.dialects.complaints import decode
from probes.surfaces import Surface

__all__ = ["HEAD", "TAIL", "Asked", "asked_in", "asked_of"]

HEAD: Final = 500
"""Characters kept of the beginning of a text: people ask first, then give the material…"""
TAIL: Final = 300
"""…and of its end: or they give the material and then ask."""
_MOST_MESSAGES: Final = 256
"""Of a longer conversation only the newest messages are looked at."""
_MOST_PARTS: Final = 64
"""Of a message in more parts only the first are."""
_TEXTS: Final = frozenset({"text", "input_text", "output_text"})
_IMAGES: Final = frozenset({"image", "image_url", "input_image"})
_RESULTS: Final = frozenset({"tool_result", "function_call_output"})
_SYSTEM: Final = frozenset({"system", "developer"})
_SCHEMA: Final = frozenset({"json_schema", "json_object"})
_HARD_THOUGHT: Final = frozenset({"medium", "high", "xhigh", "max", "enabled"})
_SHAPES: Final = frozenset({"response_format", "output_format", "text", "output_config"})
_EFFORTS: Final = frozenset({"reasoning_effort", "reasoning", "output_config", "thinking"})
_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The features of one request. Its text stays in memory: it is in no reason, no log and no `repr`."""

    text: str = ""
    """The last text of the user; of a long one its first HEAD and its last TAIL characters, a line apart."""
    characters: int = 0
    """The length of that text, whole."""
    turns: int = 0
    """How often the user spoke."""
    body_bytes: int = 0
    system_characters: int = 0
    tools: int = 0
    """How many tools are offered."""
    tool_results: int = 0
    """How many results of tools the conversation holds."""
    images: int = 0
    schema: bool = False
    """Whether the answer has to be JSON."""
    thinking: bool = False
    """Whether the client asks for a middling or high effort of reasoning."""
    max_tokens: int | None = None

    def __repr__(self) -> str:
        """Say the shape, and nothing of the text."""
        return f"Asked(characters={self.characters}, turns={self.turns}, body_bytes={self.body_bytes})"


def asked_of(surface: Surface, body: bytes) -> Asked:
    """Return the features of the request in `body`. Never raises; what is not understood is not there."""
    return asked_in(surface, decode(body), len(body))


def asked_in(surface: Surface, request: object, body_bytes: int) -> Asked:
    """Return the features of a request that is decoded already; `body_bytes` is the length of its body."""
    if not isinstance(request, dict):
        return Asked(body_bytes=body_bytes)
    messages = _messages(surface, request)
    said = _Said()
    for message in reversed(messages[-_MOST_MESSAGES:]):
        said.hear(message)
    return Asked(
        text=said.text,
        characters=said.characters,
        turns=said.turns,
        body_bytes=body_bytes,
        system_characters=said.system + _length(request.get("system")) + _length(request.get("instructions")),
        tools=_count(request.get("tools")) or _count(request.get("functions")),
        tool_results=said.results,
        images=said.images,
        schema=_wants_json(request),
        thinking=_thinks(request),
        max_tokens=_limit(request),
    )


class _Said:
    """What a conversation holds, heard from its end: only the newest text of the user is kept."""

    def __init__(self) -> None:
        self.text = ""
        self.characters = self.turns = self.results = self.images = self.system = 0

    def hear(self, message: object) -> None:
        if not isinstance(message, dict):
            return
        named, content = message.get("role"), message.get("content")
        role = named if isinstance(named, str) else ""
        if role == "user":
            self._user(content)
        elif role in {"tool", "function"} or _kind(message) in _RESULTS:
            self.results += 1
        elif role in _SYSTEM:
            self.system += _length(content)

    def _user(self, content: object) -> None:
        if isinstance(content, str):
            self._keep([content])
            return
        texts = []
        for part in _parts(content):
            kind = _kind(part)
            if kind in _TEXTS and isinstance(text := part.get("text"), str):
                texts.append(text)
            self.images += kind in _IMAGES
            self.results += kind in _RESULTS
        if texts:
            self._keep(texts)

    def _keep(self, texts: list[str]) -> None:
        """Count a turn; keep its text where it is the newest."""
        self.turns += 1
        if self.turns == 1:
            self.characters = sum(map(len, texts)) + len(texts) - 1
            self.text = _bounded(texts[0] if len(texts) == 1 else "\n".join(map(_bounded, texts)))


def _messages(surface: Surface, request: dict[str, Any]) -> list[Any]:
    messages = request.get("input" if surface is Surface.RESPONSES else "messages")
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    return messages if isinstance(messages, list) else []


def _parts(content: object) -> Iterator[dict[str, Any]]:
    """Yield the parts of a message, the first of them; a bare text is one."""
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    elif isinstance(content, list):
        for part in content[:_MOST_PARTS]:
            if isinstance(part, dict):
                yield part


def _bounded(text: str) -> str:
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"


def _kind(part: dict[str, Any]) -> str:
    kind = part.get("type")
    return kind if isinstance(kind, str) else ""


def _length(content: object) -> int:
    """Return how many characters of text `content` has."""
    if content is None:
        return 0
    return sum(len(text) for part in _parts(content) if isinstance(text := part.get("text"), str))


def _count(value: object) -> int:
    return len(value) if isinstance(value, list) else 0


def _limit(request: dict[str, Any]) -> int | None:
    """Return how many tokens the answer may have, where the client says it."""
    for name in _LIMITS:
        limit = request.get(name)
        if isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0:
            return limit
    return None


def _wants_json(request: dict[str, Any]) -> bool:
    """Whether a shape is asked for, wherever an API family puts it."""
    return not _SHAPES.isdisjoint(request) and any(
        _is_among(_SCHEMA, _member(place, "type"))
        for place in (
            request.get("response_format"),
            request.get("output_format"),
            _member(request.get("text"), "format"),
            _member(request.get("output_config"), "format"),
        )
    )


def _thinks(request: dict[str, Any]) -> bool:
    return not _EFFORTS.isdisjoint(request) and any(
        _is_among(_HARD_THOUGHT, effort)
        for effort in (
            request.get("reasoning_effort"),
            _member(request.get("reasoning"), "effort"),
            _member(request.get("output_config"), "effort"),
            _member(request.get("thinking"), "type"),
        )
    )


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _is_among(words: frozenset[str], value: object) -> bool:
    return isinstance(value, str) and value in words
