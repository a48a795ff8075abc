"""Server-sent events cut out of a byte stream, by the grammar of the WHATWG standard, in constant memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["MAX_EVENT_BYTES", "EventSplitter", "fields_of"]

MAX_EVENT_BYTES: Final = 1 << 20
"""A longer event is known by its head alone: it is an image or a whole answer, and its name says enough."""

_HEAD_BYTES: Final = 1024
_LONGEST_END: Final = 4
# Two line ends, of which one CRLF is only one. The first pattern is enough, and quick, where no CR stands alone.
_EVENT_END: Final = re.compile(rb"\n\r?\n")
_ANY_EVENT_END: Final = re.compile(rb"\n(?:\r?\n|\r)|\r(?!\n)(?:\r\n|\r)")
_BOM: Final = b"\xef\xbb\xbf"


class EventSplitter:
    """Collects pieces and gives back whole events, each with the empty line that ends it."""

    def __init__(self) -> None:
        """Start at the beginning of a stream."""
        self._waiting = bytearray()
        self._head = b""
        """The start of an event too long to keep; empty while the event at hand is kept whole."""
        self._half_crlf = False
        """Whether the last event ended in a CR that the next piece may make a CRLF."""

    def feed(self, piece: bytes) -> Sequence[bytes]:
        """Return the events that `piece` completes."""
        waiting = self._waiting
        if self._half_crlf and piece:
            piece = piece.removeprefix(b"\n")
            self._half_crlf = False
        if not waiting and piece[-2:] == b"\n\n" and piece.find(b"\n\n") == len(piece) - 2 and b"\r" not in piece:
            return (piece,) if len(piece) <= MAX_EVENT_BYTES else (piece[:_HEAD_BYTES],)
        begin, search_from = 0, max(0, len(waiting) - _LONGEST_END + 1)
        waiting += piece
        lone_cr = waiting.count(b"\r", search_from) != waiting.count(b"\r\n", search_from)
        events = []
        for end in [
            found.end() for found in (_ANY_EVENT_END if lone_cr else _EVENT_END).finditer(waiting, search_from)
        ]:
            events.append(self._whole(bytes(waiting[begin:end])))
            begin = end
        self._half_crlf = 0 < begin == len(waiting) and waiting.endswith(b"\r")
        del waiting[:begin]
        self._forget()
        return events

    def rest(self) -> bytes:
        """Return the event that the stream's end left without its empty line, `b""` where there is none."""
        return self._whole(bytes(self._waiting)) if self._waiting else b""

    def _whole(self, event: bytes) -> bytes:
        if self._head:
            event, self._head = self._head, b""
        return event if len(event) <= MAX_EVENT_BYTES else event[:_HEAD_BYTES]

    def _forget(self) -> None:
        if len(self._waiting) > MAX_EVENT_BYTES + _LONGEST_END:
            self._head = self._head or bytes(self._waiting[:_HEAD_BYTES])
            del self._waiting[: -_LONGEST_END + 1]


def fields_of(event: bytes) -> tuple[bytes, bytes]:
    """Return an event's name and data, each `b""` where it has none. Comments and other fields say nothing here."""
    name, data = b"", []
    for line in event.removeprefix(_BOM).splitlines():
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return name, b"\n".join(data)
