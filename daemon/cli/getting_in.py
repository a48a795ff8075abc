"""What to tell somebody who may not open the daemon's socket: whose it is, and which group to join."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from state.people import group_name, user_name

__all__ = ["how_to_get_in"]


def how_to_get_in(path: Path) -> str:
    """Return why this user may not open the socket at `path`, and what gives it leave."""
    place, info = _barrier(path)
    user, owner = _named(os.geteuid()), _named(info.st_uid)
    group = group_name(info.st_gid) or f"gid {info.st_gid}"
    needed = stat.S_IXGRP if stat.S_ISDIR(info.st_mode) else stat.S_IWGRP
    if not info.st_mode & needed or info.st_gid == 0:
        return f"{user} may not open {path}: {place} is {owner}'s alone. Ask {owner}, or start a daemon of your own"
    return (
        f"{user} may not open {path}: that needs the group {group}. Have root run `usermod -aG {group} {user}`, then "
        "log in again"
    )


def _barrier(path: Path) -> tuple[Path, os.stat_result]:
    """Return the nearest thing on the way to `path` that this user can look at: what keeps it out."""
    try:
        return path, path.stat()
    except PermissionError:
        return _barrier(path.parent)


def _named(uid: int) -> str:
    return user_name(uid) or f"uid {uid}"
