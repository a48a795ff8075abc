"""What somebody asks of the history's housekeeping, and what came of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from state.durations import Seconds
from state.mailbox import Reply

__all__ = ["LEAST_S", "PruneRequested", "Pruned", "Room"]

LEAST_S: Final = 3600.0
"""Younger rows stay: a restart recalls from them what targets were like."""


class Room(StrEnum):
    """What becomes of the room that deleted rows have left in the file."""

    KEPT = "kept"
    """New rows use it again."""
    RETURNED = "returned"
    """The disk gets it back."""


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What pruning did."""

    rows: int
    """How many rows went."""
    bytes_before: int
    bytes_after: int
    unused_bytes: int
    """Within the file, for rows that come: not given back."""
    cause: str = ""
    """Why it is not done; empty where it is."""


class PruneRequested(msgspec.Struct, frozen=True, kw_only=True):
    """Delete what is older, beyond what the policy deletes."""

    older_than: Seconds
    room: Room
    reply: Reply[Pruned]
