"""Who a request is counted for: whom the kernel names, whose key was shown, or whom a speaker names."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache

import msgspec
from multidict import CIMultiDictProxy

from daemon.config.configuration import ClientKey
from daemon.degraded.keys import Asker
from daemon.faces.peers import Operators, Peer, group_name, user_name
from daemon.faces.refusals import Refusal, RefusalKind
from daemon.limits.caller import LONGEST_NAME, Caller, is_name

__all__ = ["Callers", "asker_of"]

_TEAM, _USER = "fairlead-team", "fairlead-user"
_SCHEME = "bearer "
_MOST_PEERS = 4096
"""Pairs of user and group whose names are kept; a machine has fewer that call."""


class _Known(msgspec.Struct, frozen=True):
    """Somebody who calls, and whether for others too."""

    caller: Caller
    speaks: bool
    remedy: str
    """What lets it speak for others where it may not."""


_ANONYMOUS = _Known(
    caller=Caller(),
    speaks=False,
    remedy="show a key of [keys] with speaks = true, or call over the Unix socket as one of daemon.speakers",
)


class Callers:
    """Knows who calls, under one configuration. The names of users and groups are looked up once each."""

    def __init__(self, speakers: Operators, keys: tuple[ClientKey, ...]) -> None:
        """Let `speakers` speak for others, and know the holders of `keys`."""
        self._speakers = speakers
        self._keys = tuple((key.digest, _holder(key)) for key in keys)
        self._of_peer = lru_cache(maxsize=_MOST_PEERS)(self._look_up)

    def identify(self, peer: Peer | None, headers: CIMultiDictProxy[str]) -> Caller | Refusal:
        """Return who a request of `peer` (None over TCP) with `headers` is counted for, or why it is refused.

        A key that is shown over a Unix socket means nothing: there the kernel says who it is.
        """
        known = self._of_key(headers) if peer is None else self._of_peer(peer.uid, peer.gid)
        if _TEAM not in headers and _USER not in headers:
            return known.caller
        return _spoken_for(known, headers)

    def _look_up(self, uid: int, gid: int) -> _Known:
        caller = Caller(user=user_name(uid), team=group_name(gid), uid=uid)
        remedy = f"have {caller.user} or one of its groups added to daemon.speakers"
        return _Known(caller, self._speakers.admit(Peer(0, uid, gid)), remedy)

    def _of_key(self, headers: Mapping[str, str]) -> _Known:
        found = _ANONYMOUS
        for shown in _shown(headers) if self._keys else ():
            digest = hashlib.sha256(shown.encode("utf-8", "surrogateescape")).digest()
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


def _holder(key: ClientKey) -> _Known:
    return _Known(key.caller, key.speaks, f"have speaks = true set in [keys.{key.name}]")


def _shown(headers: Mapping[str, str]) -> list[str]:
    """Return the keys that a client shows; where two are ours, the last one counts."""
    bearer = headers.get("authorization", "")
    keys = (headers.get("x-api-key", ""), bearer[len(_SCHEME) :] if bearer.lower().startswith(_SCHEME) else "")
    return [key.strip() for key in keys if key.strip()]


def _spoken_for(known: _Known, headers: CIMultiDictProxy[str]) -> Caller | Refusal:
    """Return whom a speaker names; what it leaves out stays its own."""
    if not known.speaks:
        who = known.caller.user or "Nobody known"
        message = f"{who} may not speak for others with {_USER} and {_TEAM}. Leave them out, or {known.remedy}."
        return Refusal(kind=RefusalKind.NOT_SPEAKER, message=message)
    for name in (_TEAM, _USER):
        said = headers.getall(name, ())
        if len(said) > 1 or not all(map(is_name, said)):
            message = f"{name} must be given once, with 1 to {LONGEST_NAME} printable characters."
            return Refusal(kind=RefusalKind.INVALID_REQUEST, message=message)
    own = known.caller
    return Caller(user=headers.get(_USER, own.user), team=headers.get(_TEAM, own.team), uid=own.uid)
