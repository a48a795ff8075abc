"""Who a request is counted for."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["LONGEST_NAME", "Caller", "is_name"]

LONGEST_NAME: Final = 100
"""Characters of a user's or a team's name: they stand in every row of the history."""


class Caller(msgspec.Struct, frozen=True):
    """Who a request is counted for. Without a user and a team it is anonymous: over TCP, without a key of ours."""

    user: str = ""
    team: str = ""
    uid: int | None = None
    """The peer's user number on a Unix socket, also where it speaks for somebody else; None over TCP."""


def is_name(text: str) -> bool:
    """Return whether users and teams may be called so: 1 to 100 printable characters."""
    return 0 < len(text) <= LONGEST_NAME and text.isprintable()
