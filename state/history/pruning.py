"""What somebody asks of the history's housekeeping, and what came of it."""

from __future__ import annotations

from typing import Final

import msgspec

from state.durations import Seconds
from state.mailbox import Reply

__all__ = ["LEAST_S", "PruneRequested", "Pruned"]

LEAST_S: Final = 3600.0
"""Younger rows stay: a restart recalls from them what targets were like."""


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
    """Delete what is older, beyond what the policy deletes, and give unused pages back where that is asked for."""

    older_than: Seconds
    shrink: bool
    reply: Reply[Pruned]
