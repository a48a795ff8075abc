"""The client of a request that fairlead makes itself: nobody listens while it is streamed."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Unheard"]


class Unheard:
    """Takes everything and never leaves."""

    async def start(self, _status: int, _headers: Mapping[str, str]) -> None:
        """Take the head."""

    async def write(self, _piece: bytes) -> None:
        """Take a piece."""
