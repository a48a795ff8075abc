"""Labelled prompts, and their two halves: one to tune on, one held out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import msgspec

from daemon.routing.complexity.features import Asked, asked_of
from daemon.routing.complexity.tiers import Tier
from probes.surfaces import Surface

__all__ = ["Prompt", "load"]

_FOLDER: Final = Path(__file__).with_name("prompts")


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """One request and the least tier that answers it well."""

    prompt: str
    tier: Tier
    domain: str
    messages: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] = []
    schema: dict[str, Any] | None = None

    @property
    def held_out(self) -> bool:
        """Whether this prompt was kept from tuning: by a hash of its text, so it never changes sides."""
        return hashlib.sha256(self.prompt.encode()).digest()[0] % 2 == 1

    @property
    def tokens(self) -> float:
        """An estimate of what it is billed for: a quarter of the characters sent."""
        return len(msgspec.json.encode(self.messages).decode() if self.messages else self.prompt) / 4

    def body(self) -> bytes:
        """Return the chat request that a client would send."""
        asked: dict[str, Any] = {
            "model": "auto",
            "messages": self.messages or [{"role": "user", "content": self.prompt}],
        }
        if self.tools:
            asked["tools"] = self.tools
        if self.schema:
            asked["response_format"] = self.schema
        return msgspec.json.encode(asked)

    def asked(self) -> Asked:
        """Return what the daemon reads of it."""
        return asked_of(Surface.CHAT, self.body())


def load() -> list[Prompt]:
    """Return every labelled prompt, in the order of the files' names."""
    decoder = msgspec.json.Decoder(Prompt)
    return [prompt for file in sorted(_FOLDER.glob("*.jsonl")) for prompt in decoder.decode_lines(file.read_bytes())]
