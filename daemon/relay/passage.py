"""What becomes of a stream's bytes on their way from its reader to the client."""

from __future__ import annotations

from daemon.relay.events import WholeEvents, without_usage
from daemon.relay.gear import Terms

__all__ = ["Passage"]


class Passage:
    """One stream's way to the client: in whole events, told to whoever collects its text, and without what is ours."""

    def __init__(self, terms: Terms) -> None:
        """Let the stream of an exchange pass on `terms`."""
        self._events = WholeEvents()
        self._text = terms.text
        self._splice = terms.splice
        self._hides_usage = terms.unasked is not None

    def take(self, piece: bytes) -> bytes:
        """Return what of the stream may go on now that `piece` has come."""
        return self._events.take(piece)

    def rest(self) -> bytes:
        """Return what is left once the stream is over."""
        return self._events.rest()

    def as_shown(self, onward: bytes) -> bytes:
        """Return what the client gets of what may go on."""
        if self._text is not None:
            self._text.feed(onward)
        if self._splice is not None:
            onward = self._splice.feed(onward)
        return without_usage(onward) if self._hides_usage else onward
