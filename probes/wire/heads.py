"""The head of a request as bytes: request line and headers, with nothing in it that a client could have smuggled."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from probes.calls import Unsendable, UpstreamRequest
from probes.origin import Origin
from probes.wire.proxies import Proxy

__all__ = ["Heads"]

_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that belong to one connection, not to the request: the wire writes its own and passes none on."""
_BODILESS = frozenset({"GET", "DELETE", "OPTIONS"})


class Heads:
    """Writes the heads of all requests to one origin; what is the same in each is prepared once."""

    def __init__(self, origin: Origin, proxy: Proxy | None) -> None:
        """Write for `origin`, in absolute form where a proxy takes plain HTTP."""
        absolute = proxy is not None and origin.scheme == "http"
        self._prefix = f"http://{origin.authority}{origin.prefix}" if absolute else origin.prefix
        fixed = ["", f"host: {origin.authority}", "accept-encoding: identity"]
        if absolute and proxy is not None and proxy.credentials:
            fixed.append(f"proxy-authorization: {proxy.credentials.value}")
        self._fixed = " HTTP/1.1" + "\r\n".join(fixed)
        self._agent = f"user-agent: fairlead/{_version()}"

    def write(self, request: UpstreamRequest) -> bytes:
        """Return the head of `request`, up to and with its empty line.

        Raises Unsendable where a method, path or header holds a line break, a NUL or a character beyond Latin-1.
        """
        lines = [f"{request.method} {self._prefix}{request.path}{self._fixed}"]
        agent = self._agent
        for name, value in request.headers:
            if name == "user-agent":
                agent = f"user-agent: {value}"
            elif name not in _OURS:
                lines.append(f"{name}: {value}")
        lines.append(agent)
        if request.body or request.method not in _BODILESS:
            lines.append(f"content-length: {len(request.body)}")
        breaks = len(lines) - 1 + self._fixed.count("\n")
        text = "\r\n".join(lines)
        if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text or " " in request.path:
            raise _unsendable(request)
        try:
            return (text + "\r\n\r\n").encode("latin-1")
        except UnicodeEncodeError:
            raise _unsendable(request) from None


@cache
def _version() -> str:
    try:
        return version("fairlead")
    except PackageNotFoundError:
        return "unknown"


def _unsendable(request: UpstreamRequest) -> Unsendable:
    """Name the part that does not fit, and never its value: it may be a key."""
    if _breaks(request.method) or _breaks(request.path) or " " in request.path:
        return Unsendable("the request's method or path holds a space, a line break or a foreign character")
    for name, value in request.headers:
        if _breaks(name):
            return Unsendable("a header's name holds a line break or a foreign character")
        if _breaks(value):
            return Unsendable(f"the header {name} holds a line break or a foreign character; send it without")
    return Unsendable("the request's head cannot be written")


def _breaks(text: str) -> bool:
    return any(character in "\r\n\0" or character > "\xff" for character in text)
