"""By which names the daemon may be called over TCP, so that no web page reaches it under one of its own.

A page of somebody else's can have its host's name resolve to 127.0.0.1 (DNS rebinding), and its browser then sends us
what it likes; but it says in `Host` by which name it called, in `Origin` whose page it is, in `Sec-Fetch-Site` whether
that is another's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from multidict import CIMultiDictProxy

from daemon.faces.refusals import Refusal, RefusalKind

__all__ = ["Own", "host_of", "is_loopback", "own_hosts", "stranger"]

_AUTHORITY: Final = re.compile(
    r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_.-]+))(?::(?P<port>[0-9]{0,5}))?", re.IGNORECASE
)
_ORIGIN: Final = re.compile(r"https?://(?P<authority>[^/?#]+)", re.IGNORECASE)
_ABSOLUTE: Final = re.compile(r"[a-z][a-z0-9+.-]*://(?P<authority>[^/?#]*)(?:[/?#].*)?", re.IGNORECASE)
_OWN_SITES: Final = frozenset({"none", "same-origin", "same-site"})
_MOST_PORT: Final = 65535
_SHOWN: Final = 80

Own = Callable[[str], bool]
"""Returns whether a host, as `host_of` returns it, is the daemon's own."""


def stranger(headers: CIMultiDictProxy[str], target: str, own: Own) -> Refusal | None:
    """Return why a request is refused that a web page could have sent, None where it is let in.

    `target` is the request line's. An absolute one names a host too, which must be ours as that of `Host`.
    """
    hosts = headers.getall("host", ())
    if len(hosts) != 1 or not hosts[0]:
        return Refusal(kind=RefusalKind.INVALID_REQUEST, message="A request over TCP names its host, once: Host.")
    for where, authority in (("Host", hosts[0]), *_of_target(target)):
        host = host_of(authority)
        if host is None or not own(host):
            return _foreign(where, authority)
    for origin in headers.getall("origin", ()):
        if not _is_ours(origin, own):
            return _foreign("Origin", origin)
    for site in headers.getall("sec-fetch-site", ()):
        if site.lower() not in _OWN_SITES:
            return _foreign("Sec-Fetch-Site", site)
    return None


@lru_cache(maxsize=256)
def host_of(authority: str) -> str | None:
    """Return the host of `host[:port]`, in lower case and an address in its shortest form; None where it is neither."""
    found = _AUTHORITY.fullmatch(authority) if authority.isascii() else None
    if found is None or int(found["port"] or 0) > _MOST_PORT:
        return None
    if found["six"]:
        return _address(found["six"])
    name = found["name"].lower().removesuffix(".")
    return _address(name) or name or None


def own_hosts(named: frozenset[str], local: str) -> Own:
    """Return what tells the daemon's own hosts: `named` ones, its loopback, and `local`, where a connection came in."""
    here = _address(local)
    return lambda host: host == "localhost" or host in named or host == here or is_loopback(host)


def is_loopback(host: str) -> bool:
    """Return whether `host` is an address of this machine that no other machine can reach."""
    address = _address(host)
    return address is not None and ipaddress.ip_address(address).is_loopback


@lru_cache(maxsize=256)
def _address(text: str) -> str | None:
    """Return an address in its shortest form, that of IPv4 where it is one in IPv6's clothes; None for all else."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _of_target(target: str) -> tuple[tuple[str, str], ...]:
    """Return the host that a request line's target names; one that begins with a slash names none."""
    if target.startswith("/") or target == "*":
        return ()
    absolute = _ABSOLUTE.fullmatch(target)
    return (("The request's target", absolute["authority"] if absolute else target),)


def _is_ours(origin: str, own: Own) -> bool:
    found = _ORIGIN.fullmatch(origin)
    host = host_of(found["authority"]) if found else None
    return host is not None and own(host)


def _foreign(where: str, what: str) -> Refusal:
    message = (
        f"{where} {what[:_SHOWN]!r} is not this daemon's. Call 127.0.0.1 or localhost, from a program and not from a "
        "web page; another name of this machine belongs into daemon.hosts."
    )
    return Refusal(kind=RefusalKind.FORBIDDEN, message=message)
