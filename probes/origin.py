"""Where a provider is, read from its base URL: the endpoint to connect to, and the prefix of its paths."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

import msgspec

__all__ = ["Origin", "host_name", "origin_of"]

_PORTS = {"http": 80, "https": 443}


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """One place that speaks HTTP. `socket_path` is empty unless it is a Unix socket."""

    scheme: str
    """`http`, `https` or `unix`."""
    host: str
    port: int = 0
    socket_path: str = ""
    authority: str
    """What goes into the `host` header."""
    prefix: str = ""
    """What stands before every request's path, without a slash at its end."""

    @property
    def place(self) -> str:
        """How messages name it: `host:port`, or the socket's path."""
        return self.socket_path or f"{_bracketed(self.host)}:{self.port}"

    @property
    def local(self) -> bool:
        """Whether it lies on this machine, so that no proxy may come between."""
        return self.scheme == "unix" or _is_loopback(self.host)


def origin_of(base_url: str) -> Origin:
    """Return the place that `base_url` names: `http://…`, `https://…`, `unix:///path.sock` or `unix:///path.sock:/prefix`.

    Raises ValueError with a text for people; credentials in the URL are ignored and never repeated in it.
    """
    parts = urlsplit(base_url)
    if parts.scheme == "unix":
        return _socket_origin(parts)
    if parts.scheme not in _PORTS:
        raise ValueError(f"{parts.scheme!r} is no scheme of a base URL; use http://, https:// or unix:///path.sock")
    if not parts.hostname:
        raise ValueError("the base URL names no host")
    host = host_name(parts.hostname)
    port = parts.port or _PORTS[parts.scheme]
    return Origin(
        scheme=parts.scheme,
        host=host,
        port=port,
        authority=_bracketed(host) if port == _PORTS[parts.scheme] else f"{_bracketed(host)}:{port}",
        prefix=parts.path.rstrip("/"),
    )


def host_name(written: str) -> str:
    """Return a host as the wire spells it. Raises ValueError where it can be the name of none."""
    try:
        return written.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(f"{written!r} cannot be the name of a host") from None


def _socket_origin(parts: SplitResult) -> Origin:
    path, _, prefix = parts.path.partition(":/")
    if parts.netloc or not path.startswith("/") or path.endswith("/"):
        raise ValueError("a Unix socket's base URL has three slashes and an absolute path: unix:///run/x.sock")
    return Origin(
        scheme="unix",
        host="localhost",
        socket_path=path,
        authority="localhost",
        prefix=f"/{prefix}".rstrip("/"),
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
