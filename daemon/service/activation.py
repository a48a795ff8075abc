"""The sockets that systemd hands over: the listening ones of `sd_listen_fds(3)`, told apart by their names.

With them a socket unit owns the addresses: they outlive the daemon, so that a restart refuses nobody, and the first
client starts it.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from typing import Final

import msgspec

from daemon.doors.sockets import ListenError

__all__ = ["NOTHING_PASSED", "Inherited", "inherited"]

_FIRST = 3
"""`SD_LISTEN_FDS_START`."""
_MOST_DIGITS: Final = 4
"""No unit has ten thousand sockets."""
_API: Final = "api"
_HTTP: Final = "http"
_FAMILIES: Final = {_API: (socket.AF_UNIX,), _HTTP: (socket.AF_INET, socket.AF_INET6)}
_UNNAMED = "unknown"
"""What sd_listen_fds_with_names(3) calls a socket that nobody named."""


class Inherited(msgspec.Struct, frozen=True):
    """Listening sockets that were open when the process began."""

    unix: tuple[socket.socket, ...] = ()
    tcp: tuple[socket.socket, ...] = ()


NOTHING_PASSED: Final = Inherited()


def inherited(environ: Mapping[str, str]) -> Inherited:
    """Return the sockets that `$LISTEN_FDS` counts, where `$LISTEN_PID` means this process; else none.

    `FileDescriptorName=api` is a Unix socket and `http` a TCP one; what has no name is known by its family. Children
    do not inherit them. Raises ListenError for a name, a kind or an address that the daemon does not serve.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return NOTHING_PASSED
    count = environ.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdecimal() and len(count) <= _MOST_DIGITS):
        raise ListenError(f"$LISTEN_FDS is {count!r}, not a number of sockets; it is systemd's to set.")
    named = environ.get("LISTEN_FDNAMES")
    names = [_UNNAMED] * int(count) if named is None else named.split(":") if named else []
    if len(names) != int(count):
        raise ListenError(f"$LISTEN_FDNAMES names {len(names)} sockets where $LISTEN_FDS counts {count}.")
    unix: list[socket.socket] = []
    tcp: list[socket.socket] = []
    try:
        for descriptor, name in enumerate(names, _FIRST):
            listener = _taken(descriptor, name)
            (unix if listener.family == socket.AF_UNIX else tcp).append(listener)
    except ListenError:
        for listener in (*unix, *tcp):
            listener.close()
        raise
    return Inherited(tuple(unix), tuple(tcp))


def _taken(descriptor: int, name: str) -> socket.socket:
    try:
        listener = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ListenError(f"the inherited descriptor {descriptor} ({name}) is no socket: {error.strerror}.") from error
    listener.set_inheritable(False)
    listener.setblocking(False)  # noqa: FBT003
    problem = _problem(listener, name)
    if problem:
        listener.detach()
        raise ListenError(f"the inherited socket {name!r} {problem}.")
    return listener


def _problem(listener: socket.socket, name: str) -> str:
    """Return why the daemon cannot serve `listener`, in words that follow its name; empty where it can."""
    if name != _UNNAMED and name not in _FAMILIES:
        return f"has a name that is not known; set FileDescriptorName={_API} (Unix) or {_HTTP} (TCP) in its unit"
    families = _FAMILIES.get(name) or (*_FAMILIES[_API], *_FAMILIES[_HTTP])
    if listener.family not in families:
        return f"is of the family {listener.family.name}, which that name does not mean"
    if listener.type != socket.SOCK_STREAM or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "is not a listening stream; use ListenStream= and Accept=no in its unit"
    if listener.family != socket.AF_UNIX and not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        return f"is bound to {listener.getsockname()[0]}, which is not loopback; use ListenStream=127.0.0.1:4180"
    return ""
