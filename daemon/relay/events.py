"""Keeps a stream's events whole on their way to the client, and from it the usage that it has not asked for."""

from __future__ import annotations

import re

import msgspec

from probes.dialects.complaints import UNREADABLE
from probes.dialects.sse import fields_of

__all__ = ["WholeEvents", "ends_event", "without_usage"]

_MOST = 64 * 1024
"""An event longer than this is passed on in parts: holding more would only delay it."""
_BLANKS = (b"\n\n", b"\n\r\n", b"\r\r")
"""An empty line ends an event, whichever way lines end."""


_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_EVENT = re.compile(rb".+?(?:\n\r?\n|\r\n?\r\n?|\Z)", re.DOTALL)


class _Chunk(msgspec.Struct, frozen=True):
    choices: list[msgspec.Raw] | None = None
    usage: dict[str, msgspec.Raw] | None = None
    error: msgspec.Raw | None = None


_CHUNK = msgspec.json.Decoder(_Chunk)


class WholeEvents:
    """Passes on only complete server-sent events, so that a break never leaves half of one with the client.

    Providers nearly always send whole events per write, and those pass without a copy.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._rest = b""

    def take(self, piece: bytes) -> bytes:
        """Return what of the held bytes and `piece` may go on now."""
        if not self._rest and piece.endswith(_BLANKS):
            return piece
        joined = self._rest + piece
        end = _end_of_events(joined)
        if len(joined) - end > _MOST:
            end = len(joined)
        self._rest = joined[end:]
        return joined[:end]

    def rest(self) -> bytes:
        """Return what is still held, once the stream has ended properly."""
        rest, self._rest = self._rest, b""
        return rest


def ends_event(piece: bytes) -> bool:
    """Return whether a client that has read `piece` has only whole events."""
    return piece.endswith(_BLANKS)


def without_usage(piece: bytes) -> bytes:
    """Return the whole events in `piece` without a chat stream's chunk that carries its usage and nothing else."""
    if _USAGE.search(piece) is None:
        return piece
    return b"".join(event for event in _EVENT.findall(piece) if not _only_counts(event))


def _only_counts(event: bytes) -> bool:
    if _USAGE.search(event) is None:
        return False
    try:
        chunk = _CHUNK.decode(fields_of(event)[1])
    except UNREADABLE:
        return False
    return not chunk.choices and chunk.usage is not None and chunk.error is None


def _end_of_events(text: bytes) -> int:
    """Return where the last complete event in `text` ends."""
    return max((at + len(blank) for blank in _BLANKS if (at := text.rfind(blank)) >= 0), default=0)
