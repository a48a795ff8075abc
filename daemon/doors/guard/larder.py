"""How many bytes of bodies are held at once, by all and by each peer."""

from __future__ import annotations

from typing import Final

__all__ = ["Larder"]

_WORTH_IT: Final = 32 * 2**20
_MUCH_LESS: Final = 4
_CALM_SWEEPS: Final = 20
"""Ten seconds."""


class Larder:
    """Keeps count. One peer has at most half, so that nobody can starve the others."""

    def __init__(self, most: int) -> None:
        """Have room for `most` bytes."""
        self._most = most
        self._by_peer: dict[str, int] = {}
        self.held = 0
        self._highest = 0
        self._calm = 0

    def take(self, peer: str, size: int) -> bool:
        """Hold `size` bytes more for `peer`; return False, holding nothing more, where there is no room."""
        theirs = self._by_peer.get(peer, 0) + size
        if theirs > self._most // 2 or self.held + size > self._most:
            return False
        self._by_peer[peer] = theirs
        self.held += size
        self._highest = max(self._highest, self.held)
        return True

    def tidy(self) -> None:
        """Return the memory of bodies that are gone to the system, once it is calm: the allocator would keep it."""
        much_less = self._highest > _WORTH_IT and self.held < self._highest // _MUCH_LESS
        self._calm = self._calm + 1 if much_less else 0
        if self._calm >= _CALM_SWEEPS:
            self._highest, self._calm = self.held, 0
            _trim()

    def give_back(self, peer: str, size: int) -> None:
        """Hold `size` bytes less for `peer`."""
        left = self._by_peer.get(peer, 0) - size
        self.held -= size
        if left > 0:
            self._by_peer[peer] = left
        else:
            self._by_peer.pop(peer, None)


def _trim() -> None:
    import ctypes  # noqa: PLC0415 - 0.3 MB that only a siege needs

    ctypes.CDLL(None).malloc_trim(0)
