"""What goes wrong below HTTP, in fairlead's words: here alone the exceptions of sockets, TLS and parser are mapped."""

from __future__ import annotations

import errno
import socket
import ssl
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from httptools import HttpParserError, HttpParserUpgrade

from probes.calls import ConnectTimedOut, CutShort, Disconnected, Garbled, TlsFailed, Unreachable
from state.errors import WireError

__all__ = ["PARSER_PROBLEMS", "connecting", "garbled", "inflating", "lost"]

PARSER_PROBLEMS = (HttpParserError, HttpParserUpgrade)
"""What the parser raises; `garbled` puts it into words."""
_WORDS: dict[type[OSError], str] = {
    ConnectionRefusedError: "connection refused by",
    ConnectionError: "the connection was closed while it was opened, by",
    FileNotFoundError: "there is no socket at",
    PermissionError: "not permitted to connect to",
}
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})
_UNKNOWN_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


@contextmanager
def connecting(place: str, within_s: float) -> Iterator[None]:
    """Open a connection to `place` in the body, within `within_s` seconds.

    Raises ConnectTimedOut, TlsFailed or Unreachable in place of whatever the system said.
    """
    try:
        with anyio.fail_after(within_s):
            yield
    except TimeoutError:
        raise ConnectTimedOut(f"connect timed out after {within_s:g}s: {place}") from None
    except OSError as problem:
        raise _unconnected(problem, place) from problem


def garbled(problem: Exception, place: str) -> Garbled:
    """Return what to say of bytes that are not HTTP; the parser's own words name no content."""
    return Garbled(f"{place} answered with something that is not HTTP: {problem}")


def lost(problem: Exception | None, place: str, *, begun: str) -> WireError:
    """Return what to say of a connection that ended too early.

    `begun` says how far the answer had come: nothing at all (empty), its `head`, or its `body`.
    """
    how = "reset" if isinstance(problem, OSError) else "closed"
    if not begun:
        return Disconnected(f"{place} {how} the connection without an answer")
    if begun == "head":
        return Garbled(f"{place} {how} the connection within the head of its answer")
    return CutShort(f"{place} {how} the connection before its answer was whole")


@contextmanager
def inflating(place: str) -> Iterator[None]:
    """Decompress in the body; raises Garbled where the bytes are not what `content-encoding` says."""
    try:
        yield
    except zlib.error:
        raise Garbled(f"{place} sent a body that is not compressed as it says") from None


def _unconnected(problem: OSError, place: str) -> WireError:
    if isinstance(problem, ssl.SSLError):
        return _tls_failed(problem, place)
    if isinstance(problem, socket.gaierror):
        return Unreachable(_unresolved(problem, place))
    for kind, words in _WORDS.items():
        if isinstance(problem, kind):
            return Unreachable(f"{words} {place}")
    if problem.errno in _NO_ROUTE:
        return Unreachable(f"no route to {place}")
    return Unreachable(f"cannot connect to {place}: {problem.strerror or type(problem).__name__}")


def _tls_failed(problem: ssl.SSLError, place: str) -> WireError:
    """Blame TLS, unless the peer merely left in the middle of the handshake: then it is unreachable."""
    match problem:
        case ssl.SSLCertVerificationError():
            return TlsFailed(f"the certificate of {place} is not trusted: {problem.verify_message}")
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return Unreachable(f"{_WORDS[ConnectionError]} {place}")
        case _ if problem.reason in _NOT_TLS:
            return TlsFailed(f"{place} does not speak TLS")
        case _:
            return TlsFailed(f"TLS with {place} failed: {(problem.reason or 'unknown').lower().replace('_', ' ')}")


def _unresolved(problem: socket.gaierror, place: str) -> str:
    if problem.errno in _UNKNOWN_NAME:
        return f"no such host: {place}"
    return f"the name of {place} cannot be resolved: {problem.strerror}"
