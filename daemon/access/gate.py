"""The gate: each request passes it before any face sees it, and leaves with a visitor or with a refusal."""

from __future__ import annotations

import msgspec
from aiohttp import web

from daemon.access.hosts import is_loopback, own_hosts, stranger
from daemon.access.names import Kind, Names, numbered
from daemon.access.peers import Entrance, Peer
from daemon.access.roles import Role, needed_role
from daemon.access.visitors import Visitor
from daemon.access.words import MOST_GROUPS, key_needed, lacking_key_role, lacking_role, not_over_tcp, place_of
from daemon.faces.refusals import Refusal
from daemon.in_force import InForce
from daemon.limits.caller import Caller

__all__ = ["ENTRANCE", "Gate"]

ENTRANCE = web.RequestKey("entrance", Entrance)
"""Under which a request carries by which way it came."""


class Gate:
    """Lets visitors in, by the configuration in force."""

    def __init__(self, in_force: InForce, names: Names) -> None:
        """Look names up in `names`: only for those who are to be counted or refused, never to decide a role."""
        self._in_force = in_force
        self._names = names

    async def by_socket(self, request: web.BaseRequest) -> Visitor | Refusal:
        """Return who sends a request over the Unix socket. No web page reaches that."""
        peer = request[ENTRANCE].peer
        if peer is None:
            raise RuntimeError("a connection over TCP was served as one of the Unix socket")
        needed = needed_role(request.method, request.path)
        role = self._in_force.configuration.access.roles.of(peer)
        refused = needed is not None and (role is None or role < needed)
        unnamed = needed in {None, Role.READER} and not refused
        visitor = self._in_force.visitors.of_peer(peer, _by_number(peer) if unnamed else await self._named(peer))
        return await self._lacking(visitor, peer, needed) if needed and refused else visitor

    async def by_network(self, request: web.BaseRequest) -> Visitor | Refusal:
        """Return who sends a request over TCP, where nobody operates, and some addresses need a key."""
        access, local = self._in_force.configuration.access, request[ENTRANCE].local
        foreign = stranger(request.headers, request.raw_path, own_hosts(access.hosts, local))
        if foreign is not None:
            return foreign
        visitor = self._in_force.visitors.of_key(request.headers)
        if not visitor.key and (access.require_keys or not is_loopback(local)):
            visitor = msgspec.structs.replace(visitor, role=None)
        return _lacking_over_tcp(visitor, needed_role(request.method, request.path)) or visitor

    async def _named(self, peer: Peer) -> Caller:
        return Caller(await self._names.user(peer.uid), await self._names.group(peer.gid), peer.uid)

    async def _lacking(self, visitor: Visitor, peer: Peer, needed: Role) -> Refusal:
        groups = await self._names.groups(peer.gids[:MOST_GROUPS])
        return lacking_role(visitor, needed, groups, place_of(self._in_force.configuration.source))


def _lacking_over_tcp(visitor: Visitor, needed: Role | None) -> Refusal | None:
    if needed is None:
        return None
    if visitor.role is None and not visitor.key:
        return key_needed(visitor)
    if needed is Role.OPERATOR:
        return not_over_tcp()
    if visitor.role is not None and visitor.role >= needed:
        return None
    return lacking_key_role(visitor, needed) if visitor.key else key_needed(visitor)


def _by_number(peer: Peer) -> Caller:
    return Caller(numbered(Kind.USER, peer.uid), numbered(Kind.GROUP, peer.gid), peer.uid)
