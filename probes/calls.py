"""One HTTP call to a provider, as values: what is sent, and what its answer starts with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from state.errors import WireError
from state.faults import Fault

__all__ = [
    "ConnectTimedOut",
    "CutShort",
    "Disconnected",
    "Garbled",
    "TlsFailed",
    "Unreachable",
    "Unsendable",
    "UpstreamReply",
    "UpstreamRequest",
]


class UpstreamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent. `path` is joined to the provider's base URL; names of headers are lower case."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class UpstreamReply(Protocol):
    """An answer whose status and headers have arrived, and whose body is still being read."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; a repeated header's values joined with `, `."""
    connect_s: float
    """Seconds spent on opening a connection, 0.0 where a pooled one served."""

    async def read(self) -> bytes:
        """Return the next piece of the body as it arrived, `b""` at its proper end.

        Raises CutShort where the body ended before its framing said so.
        """
        ...

    async def aclose(self) -> None:
        """Give the connection back where the body was read to its end, else close it. Never waits on the network."""
        ...


class Unreachable(WireError):
    """No connection: refused, no route, no such host or socket, or closed before TLS was agreed."""

    fault = Fault.UNREACHABLE


class ConnectTimedOut(WireError):
    """No connection within the connect deadline, which spans names, TCP, proxy and TLS together."""

    fault = Fault.TIMEOUT


class TlsFailed(WireError):
    """The connection opened and TLS did not: a certificate, or no TLS at all on the other side."""

    fault = Fault.TLS


class Disconnected(WireError):
    """The peer closed or reset a fresh connection before the first byte of its answer."""

    fault = Fault.UNREACHABLE


class Garbled(WireError):
    """What came back is not HTTP, or larger than any answer should be."""

    fault = Fault.BAD_REPLY


class Unsendable(WireError):
    """The request itself cannot be put on the wire, such as a header value with a line break in it."""

    fault = Fault.INVALID_REQUEST


class CutShort(WireError):
    """The body ended before its framing said so."""

    fault = Fault.CUT
