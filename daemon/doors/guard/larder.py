"""How many bytes of bodies are held at once, by all and by each peer."""

from __future__ import annotations

__all__ = ["Larder"]


class Larder:
    """Keeps count. One peer has at most half, so that nobody can starve the others."""

    def __init__(self, most: int) -> None:
        """Have room for `most` bytes."""
        self._most = most
        self._by_peer: dict[str, int] = {}
        self.held = 0

    def take(self, peer: str, size: int) -> bool:
        """Hold `size` bytes more for `peer`; return False, holding nothing more, where there is no room."""
        theirs = self._by_peer.get(peer, 0) + size
        if theirs > self._most // 2 or self.held + size > self._most:
            return False
        self._by_peer[peer] = theirs
        self.held += size
        return True

    def give_back(self, peer: str, size: int) -> None:
        """Hold `size` bytes less for `peer`."""
        left = self._by_peer.get(peer, 0) - size
        self.held -= size
        if left > 0:
            self._by_peer[peer] = left
        else:
            self._by_peer.pop(peer, None)
