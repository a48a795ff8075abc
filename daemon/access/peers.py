"""Who is at the other end of a Unix socket, by the kernel's word alone."""

from __future__ import annotations

import errno
import socket
import struct
from typing import Final

import msgspec

__all__ = ["Entrance", "Peer", "peer_of"]

_UCRED = struct.Struct("iII")
"""A process is a signed number, a user and a group are not."""
_SO_PEERGROUPS: Final = 59
"""Linux 4.13's; Python does not name it."""
_AT_FIRST: Final = 256
"""Groups that are asked for without counting them: as many as Python's `getsockopt` has room for."""
_NO_GROUPS: Final = frozenset({errno.ENOPROTOOPT, errno.ENODATA, errno.EOPNOTSUPP})


class Peer(msgspec.Struct, frozen=True):
    """The process that opened a connection, as the kernel vouches for it: as it was when it connected."""

    pid: int
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """Its supplementary groups; the first one of all, `gid`, may be among them."""

    @property
    def gids(self) -> tuple[int, ...]:
        """Every group that it is in, its primary one first, each once."""
        return tuple(dict.fromkeys((self.gid, *self.groups)))


class Entrance(msgspec.Struct, frozen=True):
    """By which way a connection came in, and who opened it: as true of its last request as of its first."""

    peer: Peer | None
    """None over TCP."""
    local: str = ""
    """The address of ours that it came in at, over TCP."""


def peer_of(connection: socket.socket) -> Peer | None:
    """Return who opened `connection` (`SO_PEERCRED`, `SO_PEERGROUPS`), None where it is not a Unix socket."""
    if connection.family != socket.AF_UNIX:
        return None
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(raw)
    return Peer(pid, uid, gid, _groups_of(connection))


def _groups_of(connection: socket.socket) -> tuple[int, ...]:
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _AT_FIRST * 4)
    except OSError as error:
        if error.errno in _NO_GROUPS:
            return ()  # an older kernel: the primary group alone is known
        if error.errno != errno.ERANGE:
            raise
        raw = _many_groups(connection.fileno())
    return struct.unpack(f"{len(raw) // 4}I", raw)


def _many_groups(descriptor: int) -> bytes:
    """Return the groups of a peer that has more than Python's `getsockopt` has room for."""
    import ctypes  # noqa: PLC0415 - hardly anybody is in so many groups, and it costs a megabyte

    library = ctypes.CDLL(None, use_errno=True)
    size = ctypes.c_uint(0)
    library.getsockopt(descriptor, socket.SOL_SOCKET, _SO_PEERGROUPS, None, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    if library.getsockopt(descriptor, socket.SOL_SOCKET, _SO_PEERGROUPS, buffer, ctypes.byref(size)):
        raise OSError(ctypes.get_errno(), "the kernel does not tell the groups of a peer")
    return buffer.raw[: size.value]
