"""How much of the daemon one connection, one peer and all of them may take up, and for how long."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from state.durations import Seconds
from state.sizes import ByteSize

__all__ = ["DoorPolicy", "Reason"]


class Reason(StrEnum):
    """Why a connection was refused, or ended by us: the label in the metrics, and the word in the log.

    Where a key of `[daemon]` sets the bound, it is that key's name.
    """

    FULL = "max_connections"
    PEER_FULL = "max_connections_per_peer"
    DISPLACED = "displaced"
    """The longest idle one made room for a newcomer."""
    SLOW_HEAD = "header_timeout"
    SLOW_BODY = "body_timeout"
    NOT_READING = "send_timeout"
    LARGE_HEAD = "max_head"
    BUFFERS_FULL = "max_buffered"
    MALFORMED = "malformed"


class DoorPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds. Times are seconds, sizes bytes, rates bytes a second."""

    max_connections: int = 2048
    """What a silent one costs us is about 3 KB."""
    max_connections_per_peer: int = 1024
    """A peer is a user over the Unix socket, an address over TCP."""
    header_timeout: Seconds = Seconds(20)
    """From the connection, or a request's first byte, to the end of its head; haproxy's guide has 10 s, Apache's 20."""
    body_timeout: Seconds = Seconds(30)
    """How long a body may fall behind `min_rate`."""
    idle_timeout: Seconds = Seconds(75)
    """nginx's default: longer than any SDK keeps an idle connection."""
    send_timeout: Seconds = Seconds(30)
    """How long a client may take its answer more slowly than `min_rate`."""
    min_rate: ByteSize = ByteSize(16 * 2**10)
    max_head: ByteSize = ByteSize(64 * 2**10)
    """Request line and headers together; nginx has 32 KiB, hypercorn and h11 64."""
    max_body: int = 16 * 2**20
    max_buffered: ByteSize = ByteSize(256 * 2**20)
    """Bodies of all requests under way together; one peer's at most half of it."""

    @property
    def buffered(self) -> int:
        """What is held at most: one peer's share has room for the largest body."""
        return max(self.max_buffered, 2 * self.max_body)
