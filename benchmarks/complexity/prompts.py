"""The labelled prompts: reading them, the requests that they become, and the split into tune set and held-out set."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from daemon.routing.complexity.features import Asked, asked_of
from daemon.routing.complexity.tiers import Tier
from probes.surfaces import Surface

__all__ = ["SPLITS", "Labelled", "Split", "labelled"]

Split = Literal["tune", "held-out", "fresh"]
SPLITS: Final[tuple[Split, ...]] = ("tune", "held-out", "fresh")

_HERE: Final = Path(__file__).parent
_HELD_OUT_OF_TEN: Final = 4
_FRESH: Final = "fresh"
"""The file of prompts that were written after the weights had been set."""
_MATERIAL_MARK: Final = "{material}"
_SCHEMA: Final = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
_BYTES_PER_TOKEN: Final = 4


class Prompt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the files: what is asked, and the tier that a person gave it."""

    tier: Tier
    domain: str
    language: str = "en"
    prompt: str = ""
    messages: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """A conversation, instead of a prompt."""
    materials: tuple[str, ...] = ()
    """The texts of `materials/` that go with the prompt: where it says `{material}`, else behind it."""
    system: str = ""
    tools: tuple[str, ...] = ()
    schema: bool = False
    max_tokens: int | None = None


class Labelled(msgspec.Struct, frozen=True):
    """One prompt as a classifier meets it."""

    tier: Tier
    domain: str
    language: str
    split: Split
    text: str
    """The last text of the user, whole."""
    asked: Asked
    tokens: int
    """About how many tokens the provider would count for the input."""


def labelled() -> list[Labelled]:
    """Return all prompts, in the order of the files. Raises msgspec.ValidationError for a line that is not one."""
    read = msgspec.json.Decoder(Prompt)
    return [
        _labelled(prompt, file.stem)
        for file in sorted((_HERE / "prompts").glob("*.jsonl"))
        for prompt in read.decode_lines(file.read_bytes())
    ]


def _labelled(prompt: Prompt, file: str) -> Labelled:
    messages = prompt.messages or [{"role": "user", "content": _text(prompt)}]
    text = next(message["content"] for message in reversed(messages) if message["role"] == "user")
    asked = asked_of(Surface.CHAT, _body(prompt, messages))
    size = len(prompt.system) + sum(len(str(message.get("content") or "")) for message in messages)
    return Labelled(
        prompt.tier, prompt.domain, prompt.language, _split(file, text), text, asked, size // _BYTES_PER_TOKEN
    )


def _text(prompt: Prompt) -> str:
    if not prompt.materials:
        return prompt.prompt
    texts = [(_HERE / "materials" / f"{name}.txt").read_text(encoding="utf-8").strip() for name in prompt.materials]
    asking = prompt.prompt if _MATERIAL_MARK in prompt.prompt else f"{prompt.prompt}\n\n{_MATERIAL_MARK}"
    return asking.replace(_MATERIAL_MARK, "\n\n---\n\n".join(texts))


def _body(prompt: Prompt, messages: list[dict[str, Any]]) -> bytes:
    """Return the request as a client would send it to `/v1/chat/completions`."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    body: dict[str, Any] = {"model": "auto", "messages": [*system, *messages]}
    if prompt.tools:
        body["tools"] = [{"type": "function", "function": {"name": name}} for name in prompt.tools]
    if prompt.schema:
        body["response_format"] = _SCHEMA
    if prompt.max_tokens is not None:
        body["max_tokens"] = prompt.max_tokens
    return msgspec.json.encode(body)


def _split(file: str, text: str) -> Split:
    """Return the set that a text belongs to, now and for ever: by its hash, whatever is added or moved."""
    if file == _FRESH:
        return "fresh"
    first = hashlib.blake2b(text.encode(), digest_size=2).digest()
    return "held-out" if int.from_bytes(first, "big") % 10 < _HELD_OUT_OF_TEN else "tune"
