"""Keeps a stream's events whole on their way to the client."""

from __future__ import annotations

__all__ = ["WholeEvents", "ends_event"]

_MOST = 64 * 1024
"""An event longer than this is passed on in parts: holding more would only delay it."""
_BLANKS = (b"\n\n", b"\n\r\n", b"\r\r")
"""An empty line ends an event, whichever way lines end."""


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


def _end_of_events(text: bytes) -> int:
    """Return where the last complete event in `text` ends."""
    return max((at + len(blank) for blank in _BLANKS if (at := text.rfind(blank)) >= 0), default=0)
