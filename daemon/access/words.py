"""How a visitor is told that it may not: what it may, what is missing, and who can give it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from daemon.access.roles import Role
from daemon.access.visitors import Visitor
from daemon.faces.refusals import Refusal, RefusalKind

__all__ = ["MOST_GROUPS", "key_needed", "lacking_key_role", "lacking_role", "not_over_tcp", "place_of"]

MOST_GROUPS: Final = 8
"""Groups that a refusal names; somebody may be in thousands."""
_KINDS: Final = {
    Role.READER: RefusalKind.NOT_READER,
    Role.CLIENT: RefusalKind.NOT_CLIENT,
    Role.OPERATOR: RefusalKind.NOT_OPERATOR,
}
_DEEDS: Final = {Role.READER: "read", Role.CLIENT: "send requests", Role.OPERATOR: "operate"}
_NO_FILE: Final = frozenset({"", "demo", "environment"})


def lacking_role(visitor: Visitor, needed: Role, groups: Sequence[str], place: str) -> Refusal:
    """Return the refusal of a peer of the Unix socket, some of whose `groups` are named."""
    user = visitor.caller.user
    more = len(visitor.peer.gids) - len(groups) if visitor.peer else 0
    named = ", ".join([*groups, f"{more} more"] if more > 0 else groups)
    message = (
        f"{user} {_may(visitor.role, needed)}: that needs the role {needed.word}. Have {user} or one of its groups "
        f"({named}) added to daemon.{needed.word}s in {place}."
    )
    return Refusal(kind=_KINDS[needed], message=message)


def lacking_key_role(visitor: Visitor, needed: Role) -> Refusal:
    """Return the refusal of a visitor over TCP whose key has another role."""
    message = (
        f"The key {visitor.key} {_may(visitor.role, needed)}: that needs the role {needed.word}. Have "
        f'role = "{needed.word}" set in [keys.{visitor.key}].'
    )
    return Refusal(kind=_KINDS[needed], message=message)


def not_over_tcp() -> Refusal:
    """Return the refusal of everybody who would operate over TCP."""
    message = "Operating is possible over the Unix socket only, not over TCP."
    return Refusal(kind=RefusalKind.NOT_OPERATOR, message=message)


def key_needed(visitor: Visitor) -> Refusal:
    """Return the refusal of a visitor over TCP who shows no key of ours where one is needed."""
    what = "The key shown is not one of [keys]" if visitor.shows else "A key is needed here, and none was shown"
    message = (
        f"{what}. Send one as `authorization: Bearer KEY` or `x-api-key: KEY`, which is where an SDK puts its api_key; "
        "`fairlead keys add NAME` makes one."
    )
    return Refusal(kind=RefusalKind.KEY_NEEDED, message=message)


def place_of(source: str) -> str:
    """Return where an administrator writes, by the files that the configuration in force came from."""
    return "a configuration file" if source in _NO_FILE else source.partition(", ")[0]


def _may(role: Role | None, needed: Role) -> str:
    """Return `may read but not operate`, or without a role `may not read`."""
    return f"may {_DEEDS[role]} but not {_DEEDS[needed]}" if role else f"may not {_DEEDS[needed]}"
