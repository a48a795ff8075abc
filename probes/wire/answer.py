"""What has arrived of one answer: bytes in, status, headers and body out, wherever the bytes were cut apart.

It knows no socket and no clock. One `Answer` serves all exchanges of a connection, one after the other, since making a
parser costs more than resetting it.
"""

from __future__ import annotations

from httptools import HttpResponseParser

from probes.calls import Garbled
from probes.wire.causes import PARSER_PROBLEMS, garbled, lost
from state.errors import WireError

__all__ = ["MAX_HEAD", "Answer"]

MAX_HEAD = 64 * 1024
"""Bytes of headers that are accepted, and of anything else that brings no body with it."""
_SWITCHED = 101
_FINAL = 200


class Answer:
    """The answer under way. `headed`: status and headers are there; `whole`: the body has come to its end."""

    __slots__ = (
        "_begun",
        "_dry",
        "_interim",
        "_parser",
        "_pieces",
        "_place",
        "_refused",
        "headed",
        "headers",
        "keeps",
        "status",
        "unread",
        "whole",
    )

    def __init__(self, place: str) -> None:
        """Name the peer `place` in messages."""
        self._place = place
        self._parser = HttpResponseParser(self)
        self.reset()

    def reset(self) -> None:
        """Start on the next answer."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.headed = False
        self.whole = False
        self.keeps = False
        """Whether the peer takes another request on the same connection."""
        self.unread = 0
        """Bytes of the body that nobody has taken."""
        self._pieces: list[bytes] = []
        self._begun = False
        self._interim = False
        self._dry = 0
        self._refused: WireError | None = None

    def feed(self, data: bytes) -> None:
        """Take what arrived. Raises Garbled where it is not HTTP or too much of it is not body."""
        self._begun = True
        before = self.unread
        try:
            self._parser.feed_data(data)
        except PARSER_PROBLEMS as problem:
            self.keeps = False
            if not self.whole and self._refused is None:
                raise garbled(problem, self._place) from problem
        if self.unread > before:
            self._dry = 0
        else:
            self._count_dry(len(data))
        if self._refused is not None:
            raise self._refused

    def take(self) -> bytes:
        """Return all of the body that has come since the last time, `b""` where that is nothing."""
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.unread = 0
        return body

    def end(self, problem: Exception | None) -> WireError | None:
        """Return what it means for the answer that its connection ended, None where it is whole by that."""
        if self.whole:
            return None
        if not self.headed:
            return lost(problem, self._place, begun="head" if self._begun else "")
        if problem is None and self._ends_with_connection:
            self.whole = True
            return None
        return lost(problem, self._place, begun="body")

    def release(self) -> None:
        """Let go of the parser, which holds this object's methods and would keep it alive. Feed no more."""
        del self._parser

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Note a second answer to one request: the connection is out of step."""
        if self.whole:
            self.keeps = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the head; what trails the body is dropped."""
        if self.headed:
            return
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        headers = self.headers
        headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        """Announce the answer, unless it is one of the 1xx that only come before it."""
        if self.headed:
            return
        status = self._parser.get_status_code()
        if status == _SWITCHED:
            self._refused = Garbled(f"{self._place} answered with another protocol than HTTP/1.1")
        elif status < _FINAL:
            self._interim = True
            self.headers = {}
        elif sum(map(len, self.headers.values())) > MAX_HEAD:
            self._refused = _too_much(self._place)
        else:
            self.status = status
            self.headed = True

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body until it is taken."""
        if self.headed and not self.whole:
            self._pieces.append(body)
            self.unread += len(body)

    def on_message_complete(self) -> None:
        """Note the end of the answer, and whether another may follow on this connection."""
        if self._interim:
            self._interim = False
        elif self.headed and not self.whole:
            self.whole = True
            self.keeps = self._parser.should_keep_alive()

    def _count_dry(self, size: int) -> None:
        """Bound what a peer can send without getting anywhere: endless headers, chunk extensions, trailers."""
        self._dry += size
        if self._dry > MAX_HEAD and not self.whole:
            raise _too_much(self._place)

    @property
    def _ends_with_connection(self) -> bool:
        """Whether nothing but the peer's closing says where the body ends."""
        coding = self.headers.get("transfer-encoding", "")
        return "content-length" not in self.headers and not coding.lower().endswith("chunked")


def _too_much(place: str) -> Garbled:
    return Garbled(f"{place} answered with more than {MAX_HEAD // 1024} KiB of headers")
