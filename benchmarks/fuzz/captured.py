"""Valid inputs to begin from: the answers that real servers gave, and requests as clients send them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from probes.surfaces import Surface

__all__ = ["ANSWERS", "REQUESTS", "ROOT", "STREAMS", "SURFACES", "Capture", "captures", "surface_of", "table"]

ROOT: Final = Path(__file__).resolve().parents[2]
_FIXTURES: Final = ROOT / "tests" / "fixtures"
SURFACES: Final = tuple(Surface)


class Capture(NamedTuple):
    """One captured answer."""

    name: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def raw(self) -> bytes:
        """The answer as a server sends it."""
        head = f"HTTP/1.1 {self.status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in self._framed)
        return head.encode("latin-1", "replace") + b"\r\n" + self.body

    @property
    def _framed(self) -> list[tuple[str, str]]:
        framing = {"transfer-encoding", "content-length", "content-encoding", "connection", "keep-alive"}
        kept = [(name, value) for name, value in self.headers.items() if name not in framing]
        return [*kept, ("content-length", str(len(self.body)))]


@cache
def captures() -> tuple[Capture, ...]:
    """Return every captured answer."""
    return tuple(_capture(file) for file in sorted((_FIXTURES / "responses").glob("*.http")))


def _capture(file: Path) -> Capture:
    raw = file.read_bytes().replace(b"\r\n", b"\n").split(b"\n# curl_exit")[0].split(b"\nexit=18")[0]
    if not raw.startswith(b"HTTP/"):
        return Capture(file.stem, 200, {"content-type": "text/event-stream"}, raw)
    head, _, body = raw.partition(b"\n\n")
    status, *lines = head.decode("latin-1").split("\n")
    headers = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return Capture(file.stem, int(status.split()[1]), headers, body)


def table(name: str) -> Any:
    """Return a table of facts."""
    return msgspec.json.decode((_FIXTURES / f"{name}.json").read_bytes())


def surface_of(name: str) -> int:
    """Return the number of the surface that a captured answer belongs to."""
    words = (("responses", 1), ("embeddings", 2), ("count_tokens", 4), ("messages", 3), ("anthropic", 3))
    return next((number for word, number in words if word in name), 0)


STREAMS: Final = tuple(one for one in captures() if b"data:" in one.body)
ANSWERS: Final = tuple(one for one in captures() if b"data:" not in one.body)

_SCHEMA: Final = {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "integer"}}}
_TOOL: Final = {"name": "f", "description": "d", "parameters": _SCHEMA}
_NAMED: Final = {"name": "s", "schema": _SCHEMA}
_IMAGE: Final = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
_PIXEL: Final = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
_SYSTEM: Final = [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]
_TALK: Final = [{"role": "system", "content": "You are a support agent."}, {"role": "user", "content": "Summarize: x"}]


def _says(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def _bodies() -> Iterator[tuple[Surface, dict[str, Any]]]:
    """Yield requests as SDKs send them; the models are workloads of the run's configuration."""
    talk = {"model": "chat", "messages": _TALK}
    shaped = {"type": "json_schema", "json_schema": _NAMED}
    hi = {"messages": [{"role": "user", "content": "Hi"}], "model": "chat"}
    yield Surface.CHAT, {**talk, "max_tokens": 20, "temperature": 0.5}
    yield Surface.CHAT, {**talk, "stream": True, "stream_options": {"include_usage": True}}
    yield Surface.CHAT, {"model": "tiers", "messages": [_says({"type": "text", "text": "Why? " * 9}, _IMAGE)], "n": 2}
    yield Surface.CHAT, {**talk, "model": "tasks", "tools": [{"type": "function", "function": _TOOL}]}
    yield Surface.CHAT, {**talk, "model": "steps", "response_format": shaped}
    yield Surface.CHAT, {**talk, "model": "kept", "user": "u", "metadata": {"user_id": "1"}, "seed": 1}
    yield Surface.RESPONSES, {"model": "chat", "input": "Hi", "instructions": "Be brief.", "max_output_tokens": 9}
    said = _says({"type": "input_text", "text": "x"})
    formed = {"format": {"type": "json_schema", **_NAMED}}
    yield Surface.RESPONSES, {"model": "chat", "input": [said], "stream": True, "text": formed}
    yield Surface.EMBEDDINGS, {"model": "chat", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 8}
    yield Surface.MESSAGES, {**hi, "max_tokens": 10}
    turns = [_says({"type": "text", "text": "Hi"}, _PIXEL), {"role": "assistant", "content": "So"}]
    tools = [{"name": "f", "input_schema": _SCHEMA}]
    thinking = {"type": "enabled", "budget_tokens": 5}
    whole = {"model": "steps", "max_tokens": 10, "stream": True, "system": _SYSTEM, "messages": turns}
    yield Surface.MESSAGES, {**whole, "tools": tools, "thinking": thinking}
    yield Surface.COUNT_TOKENS, hi


REQUESTS: Final = tuple((surface, json.dumps(body).encode()) for surface, body in _bodies())
