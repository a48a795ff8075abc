"""The names that this machine has for users and groups."""

from __future__ import annotations

import grp
import pwd

__all__ = ["group_name", "user_name"]


def user_name(uid: int) -> str | None:
    """Return a user's name, None where the system knows none. Blocks: a directory service may take seconds."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def group_name(gid: int) -> str | None:
    """Return a group's name, None where the system knows none. Blocks, like `user_name`."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None
