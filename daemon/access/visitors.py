"""Who a visitor is, what it may, and whom its requests are counted for: the kernel, a key or a speaker says so."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

import msgspec
from aiohttp import web
from multidict import CIMultiDictProxy

from daemon.access.peers import Peer
from daemon.access.roles import Access, Role
from daemon.config.configuration import ClientKey
from daemon.degraded.keys import Asker
from daemon.faces.refusals import Refusal, RefusalKind
from daemon.limits.caller import LONGEST_NAME, Caller, is_name

__all__ = ["VISITOR", "Visitor", "Visitors", "asker_of", "caller_of"]

_TEAM, _USER = "fairlead-team", "fairlead-user"
_SCHEME = "bearer "


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who sends a request."""

    role: Role | None
    """None where it may not even read."""
    caller: Caller
    speaks: bool = False
    """Whether for others too."""
    remedy: str = "show a key of [keys] with speaks = true, or call over the Unix socket as one of daemon.speakers"
    """What lets it speak for others where it may not."""
    peer: Peer | None = None
    """None over TCP."""
    key: str = ""
    """The name of the key that it shows, over TCP."""
    shows: bool = False
    """Whether it shows a key at all, be it one of ours or not."""


VISITOR = web.RequestKey("visitor", Visitor)
"""Under which a request carries who sent it, for its face."""


class Visitors:
    """Knows who comes, under one configuration."""

    def __init__(self, access: Access, keys: tuple[ClientKey, ...]) -> None:
        """Give roles by `access`, and know the holders of `keys`."""
        self._access = access
        self._keys = tuple((key.digest, _holder(key)) for key in keys)

    def of_peer(self, peer: Peer, caller: Caller) -> Visitor:
        """Return who `peer` is, whose names are those of `caller`.

        A key that is shown over a Unix socket means nothing: there the kernel says who it is.
        """
        roles = self._access.roles
        return Visitor(
            role=roles.of(peer),
            caller=caller,
            speaks=roles.trusts(peer) or self._access.speakers.names(peer),
            remedy=f"have {caller.user} or one of its groups added to daemon.speakers",
            peer=peer,
        )

    def of_key(self, headers: Mapping[str, str]) -> Visitor:
        """Return who comes over TCP. Every key is compared, so that the time says nothing of which one came near."""
        shown = _shown(headers)
        found = Visitor(role=self._access.roles.of_others, caller=Caller(), shows=bool(shown))
        for key in shown if self._keys else ():
            digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
            for known_digest, holder in self._keys:
                if hmac.compare_digest(known_digest, digest):
                    found = holder
        return found


def asker_of(caller: Caller, headers: Mapping[str, str]) -> Asker:
    """Return as whom `caller` is given kept answers."""
    return Asker(
        uid=caller.uid,
        team=caller.team,
        user=caller.user,
        credential=(headers.get("authorization", ""), headers.get("x-api-key", "")),
    )


def caller_of(visitor: Visitor, headers: CIMultiDictProxy[str]) -> Caller | Refusal:
    """Return who a request is counted for: its visitor, or whom a speaker names; or why that is refused."""
    if _TEAM not in headers and _USER not in headers:
        return visitor.caller
    own = visitor.caller
    if not visitor.speaks:
        who = own.user or "Nobody known"
        message = f"{who} may not speak for others with {_USER} and {_TEAM}. Leave them out, or {visitor.remedy}."
        return Refusal(kind=RefusalKind.NOT_SPEAKER, message=message)
    for name in (_TEAM, _USER):
        said = headers.getall(name, ())
        if len(said) > 1 or not all(map(is_name, said)):
            message = f"{name} must be given once, with 1 to {LONGEST_NAME} printable characters."
            return Refusal(kind=RefusalKind.INVALID_REQUEST, message=message)
    return Caller(user=headers.get(_USER, own.user), team=headers.get(_TEAM, own.team), uid=own.uid)


def _holder(key: ClientKey) -> Visitor:
    remedy = f"have speaks = true set in [keys.{key.name}]"
    return Visitor(role=key.role, caller=key.caller, speaks=key.speaks, remedy=remedy, key=key.name, shows=True)


def _shown(headers: Mapping[str, str]) -> list[str]:
    """Return the keys that a client shows; where two are ours, the last one counts."""
    bearer = headers.get("authorization", "")
    keys = (headers.get("x-api-key", ""), bearer[len(_SCHEME) :] if bearer.lower().startswith(_SCHEME) else "")
    return [key.strip() for key in keys if key.strip()]
