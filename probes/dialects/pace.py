"""How much a stream's event says, to tell a stream that flows from one that drips."""

from __future__ import annotations

from typing import Any, Final

from probes.dialects.complaints import decode
from probes.dialects.sse import fields_of

__all__ = ["Flow", "spoken_tokens"]

_TEXTS: Final = (
    "content",
    "text",
    "arguments",
    "partial_json",
    "thinking",
    "reasoning_content",
    "reasoning",
    "refusal",
)
_CHARACTERS_PER_TOKEN: Final = 4.0
_MOST_LEVELS: Final = 6


class Flow:
    """About how many tokens a stream has carried, by how many events it has and how long they are."""

    __slots__ = ("_bytes", "_events", "_shortest")

    def __init__(self) -> None:
        """Start before the first event."""
        self._events = 0
        self._bytes = 0
        self._shortest = 0

    def add(self, size: int) -> None:
        """Take in an event of `size` bytes that carries content and is of the same kind as the others."""
        if size < self._shortest or not self._events:
            self._shortest = size
        self._events += 1
        self._bytes += size

    @property
    def tokens(self) -> float:
        """One token for each event, since most carry just one, and those of its text beyond the shortest's."""
        return self._events + (self._bytes - self._events * self._shortest) / _CHARACTERS_PER_TOKEN


def spoken_tokens(event: bytes) -> float:
    """Return about how many tokens of content an event carries: at least one, since most events carry just one."""
    _, data = fields_of(event)
    return max(1.0, _characters(decode(data), _MOST_LEVELS) / _CHARACTERS_PER_TOKEN)


def _characters(value: Any, levels: int) -> int:
    if not levels:
        return 0
    if isinstance(value, list):
        return sum(_characters(each, levels - 1) for each in value)
    if not isinstance(value, dict):
        return 0
    count = 0
    for key, each in value.items():
        if isinstance(each, str):
            count += len(each) if key in _TEXTS else 0
        else:
            count += _characters(each, levels - 1)
    return count
