"""The three roles, who has which, and which of them a request needs. Pure: numbers in, roles out."""

from __future__ import annotations

import os
from enum import IntEnum
from typing import Final

import msgspec

from daemon.access.peers import Peer

__all__ = ["Access", "Role", "Roles", "Roster", "needed_role"]

_ROOT: Final = 0
_READS_BY_POST: Final = frozenset({"/fairlead/v1/sql"})
_CLIENTS_CONTROL: Final = frozenset({"/fairlead/v1/report"})


class Role(IntEnum):
    """What somebody may do. Each includes those before it."""

    READER = 1
    """See what is there: status, metrics, events, the history."""
    CLIENT = 2
    """Send requests, and report how its own calls went."""
    OPERATOR = 3
    """Change how the daemon behaves."""

    @property
    def word(self) -> str:
        """The role as people write it."""
        return self.name.lower()


class Roster(msgspec.Struct, frozen=True):
    """Users and groups that a list of the configuration names, as the system's numbers."""

    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()

    def names(self, peer: Peer) -> bool:
        """Return whether `peer` or one of its groups is among them."""
        return peer.uid in self.uids or not self.gids.isdisjoint(peer.gids)


class Roles(msgspec.Struct, frozen=True, kw_only=True):
    """Who has which role."""

    operators: Roster = Roster()
    clients: Roster | None = None
    """None: everyone who can open the socket."""
    readers: Roster | None = None
    """None: everyone else who can open the socket."""
    owner: int = msgspec.field(default_factory=os.geteuid)
    """The daemon's own user."""

    def trusts(self, peer: Peer) -> bool:
        """Return whether `peer` is root or the daemon's own user, who could read and change everything anyway."""
        return peer.uid in {_ROOT, self.owner}

    def of(self, peer: Peer) -> Role | None:
        """Return the role of `peer`, None where it may not even read."""
        if self.trusts(peer) or self.operators.names(peer):
            return Role.OPERATOR
        if self.clients is not None and self.clients.names(peer):
            return Role.CLIENT
        if self.readers is not None and self.readers.names(peer):
            return Role.READER
        return self.of_others

    @property
    def of_others(self) -> Role | None:
        """The role of those whom no list names, and of those who come over TCP without a key."""
        if self.clients is None:
            return Role.CLIENT
        return Role.READER if self.readers is None else None


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of who may do what."""

    roles: Roles = msgspec.field(default_factory=Roles)
    speakers: Roster = Roster()
    """Who may say for whom a request is, besides root and the daemon's own user."""
    require_keys: bool = False
    """Whether nothing is answered over TCP without a key."""
    hosts: frozenset[str] = frozenset()
    """Names by which the daemon is called over TCP, besides those of its loopback and of the address itself."""


def needed_role(method: str, path: str) -> Role | None:
    """Return the role that a request needs, None for a sign of life. What is not known needs the highest."""
    if path == "/healthz":
        return None
    if method in {"GET", "HEAD"} or path in _READS_BY_POST:
        return Role.READER
    if path.startswith("/fairlead/") and path not in _CLIENTS_CONTROL:
        return Role.OPERATOR
    return Role.CLIENT
