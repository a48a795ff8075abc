"""A connection from its first moment: counted, and costing little until it has said something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

from daemon.access.peers import Entrance, peer_of
from daemon.doors.guard.answers import large_head, spoken
from daemon.doors.guard.policy import Reason
from daemon.doors.keeper import Doorkeeper
from daemon.faces.refusals import Refusal, RefusalKind

__all__ = ["Line", "Speaker"]

_REMEDIES: Final = {
    Reason.FULL: "daemon.max_connections are open, all of them busy",
    Reason.PEER_FULL: "daemon.max_connections_per_peer of yours are open, all of them busy",
}


def _full(reason: Reason) -> bytes:
    message = f"No connection more is taken: {_REMEDIES[reason]}. Try again in a moment, or reuse connections."
    return spoken(Refusal(kind=RefusalKind.CONNECTIONS, message=message, retry_after_s=1.0))


_FULL: Final = {reason: _full(reason) for reason in _REMEDIES}
_LARGE_HEAD: Final = spoken(large_head())
_END_OF_HEAD: Final = b"\r\n\r\n"


class Speaker(Protocol):
    """What understands the bytes of a connection that has begun to speak."""

    @property
    def held_back(self) -> bool:
        """Whether it has enough to read for now."""
        ...

    @property
    def idle_since(self) -> float | None:
        """Since when it has had no request under way; None while it has one."""
        ...

    def tend(self, now: float) -> int:
        """End it where patience is over; return how many bytes of an answer wait for its client to read."""
        ...


class Line(asyncio.Protocol):
    """One connection. Until its first byte it is all that there is; then it has a speaker, which takes its place."""

    __slots__ = ("_keeper", "_make", "_speaker", "entrance", "parting_since", "peer", "since", "transport")

    def __init__(self, keeper: Doorkeeper, make: Callable[[Line], Speaker]) -> None:
        """Belong to `keeper`; `make` gives what speaks."""
        self._keeper = keeper
        self._make = make
        self._speaker: Speaker | None = None
        self.parting_since: float | None = None
        self.peer = ""
        self.since = keeper.clock()

    @property
    def keeper(self) -> Doorkeeper:
        """Who looks after it."""
        return self._keeper

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be counted, or refused with a 503."""
        self.transport = cast("asyncio.Transport", transport)
        self.entrance = _entrance_of(self.transport)
        self.peer = _name_of(self.transport, self.entrance)
        reason = self._keeper.welcome(self)
        if reason is not None:
            self.transport.write(_FULL[reason])
            self.part()

    def data_received(self, data: bytes) -> None:
        """Have a speaker understand what comes from now on."""
        if self.parting_since is not None:
            self.swallow(len(data))
            return
        most = self._keeper.policy.max_head
        if len(data) > most and data.find(_END_OF_HEAD, 0, most + len(_END_OF_HEAD)) < 0:
            self._keeper.count(Reason.LARGE_HEAD)  # and nobody has to be made to understand it
            self.transport.write(_LARGE_HEAD)
            self.part()
            return
        speaker = self._speaker = self._make(self)
        protocol = cast("asyncio.Protocol", speaker)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's to name
        """Be forgotten."""
        self._keeper.gone(self)

    @property
    def idle_since(self) -> float | None:
        """Since when it has had no request under way; None while it has one."""
        return self.since if self._speaker is None else self._speaker.idle_since

    def displace(self) -> None:
        """Make room for a newcomer."""
        self._keeper.count(Reason.DISPLACED)
        self.abort()

    def tend(self, now: float) -> int:
        """End it where patience is over; return how many bytes of an answer wait for its client to read."""
        if self._speaker is not None:
            return self._speaker.tend(now)
        if now - self.since > self._keeper.policy.header_timeout:
            self._keeper.count(Reason.SLOW_HEAD)
            self.abort()
        return 0

    def part(self) -> None:
        """Say nothing more, and swallow for a moment what still comes.

        A connection that is closed with bytes unread is reset, and the client never reads why.
        """
        if self.parting_since is None:
            self.parting_since = self._keeper.clock()
            if self._keeper.parts(self) and not self.transport.is_closing():
                self.transport.write_eof()
            else:
                self.transport.close()

    def breathe(self) -> None:
        """Wait for the next turn: it has more to send than one may read at once."""
        if not self.transport.is_closing():
            self.transport.pause_reading()
            self._keeper.turns.wait(self, asyncio.get_running_loop().call_soon)

    def swallow(self, size: int) -> None:
        """Note `size` bytes that nobody wants, and read no more where too many come."""
        if not self._keeper.swallow(self, size) and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on, unless something else stands against it, which then resumes by itself."""
        held_back = self._speaker is not None and self._speaker.held_back
        if not held_back and not self._keeper.is_sated(self) and not self.transport.is_closing():
            self.transport.resume_reading()

    def abort(self) -> None:
        """Be done with it at once."""
        self.transport.abort()


def _entrance_of(transport: asyncio.Transport) -> Entrance:
    connection = transport.get_extra_info("socket")
    peer = peer_of(connection)
    return Entrance(peer) if peer else Entrance(None, str(connection.getsockname()[0]).partition("%")[0])


def _name_of(transport: asyncio.Transport, entrance: Entrance) -> str:
    """Return whose connection it is: a user's over a Unix socket, an address's over TCP."""
    if entrance.peer is not None:
        return f"uid {entrance.peer.uid}"
    address = transport.get_extra_info("peername")
    return str(address[0]) if address else ""
