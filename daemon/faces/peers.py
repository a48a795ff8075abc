"""Who is at the other end of a Unix socket, and whether they are among those whom the configuration names."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct

import msgspec
from aiohttp import web

__all__ = ["Operators", "Peer", "group_name", "peer_behind", "peer_of", "resolve_operators", "user_name"]

_UCRED = struct.Struct("iII")
"""A process is a signed number, a user and a group are not."""


class Peer(msgspec.Struct, frozen=True):
    """The process that opened a connection, as the kernel vouches for it (`SO_PEERCRED`)."""

    pid: int
    uid: int
    gid: int

    @property
    def name(self) -> str:
        """The user's name, or `uid 1234` where it has none."""
        return user_name(self.uid)


class Operators(msgspec.Struct, frozen=True):
    """The user and group numbers that may operate, or speak for others, besides root and the daemon's own user."""

    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()

    def admit(self, peer: Peer) -> bool:
        """Return whether `peer` is one of them."""
        return peer.uid in {0, os.geteuid()} or peer.uid in self.uids or peer.gid in self.gids


def peer_of(connection: socket.socket) -> Peer | None:
    """Return who opened `connection`, None where it is not a Unix socket."""
    if connection.family != socket.AF_UNIX:
        return None
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return Peer(*_UCRED.unpack(raw))


def peer_behind(request: web.BaseRequest) -> Peer | None:
    """Return who opened the connection that `request` came over, None where it is not a Unix socket."""
    connection = request.transport.get_extra_info("socket") if request.transport else None
    return None if connection is None else peer_of(connection)


def user_name(uid: int) -> str:
    """Return the user's name, or `uid 1234` where it has none. A directory service may take its time for it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def group_name(gid: int) -> str:
    """Return the group's name, or `gid 1234` where it has none. A directory service may take its time for it."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return f"gid {gid}"


def resolve_operators(names: tuple[str, ...]) -> Operators:
    """Look up `operators` or `speakers` of the configuration: users by name, groups as `@name`, members included.

    Names that the system does not know admit nobody. Looked up when the configuration is loaded, never on a request,
    since a directory service may take its time.
    """
    uids: set[int] = set()
    gids: set[int] = set()
    for name in names:
        if name.startswith("@"):
            _admit_group(name[1:], uids, gids)
        else:
            uids.update(_uid_of(name))
    return Operators(frozenset(uids), frozenset(gids))


def _admit_group(name: str, uids: set[int], gids: set[int]) -> None:
    try:
        group = grp.getgrnam(name)
    except KeyError:
        return
    gids.add(group.gr_gid)
    for member in group.gr_mem:
        uids.update(_uid_of(member))


def _uid_of(name: str) -> tuple[int, ...]:
    try:
        return (pwd.getpwnam(name).pw_uid,)
    except KeyError:
        return ()
