"""What the model said of requests, by a hash of their text: the text itself is not kept."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from daemon.routing.complexity.tiers import Tier

__all__ = ["Memory"]

_MOST: Final = 4_096
"""About 400 KB; the request that was not asked for longest is forgotten first."""
_BYTES: Final = 16


class Memory:
    """Remembers tiers. Owned by the classifier."""

    def __init__(self, most: int = _MOST) -> None:
        """Remember at most so many."""
        self._most = most
        self._tiers: OrderedDict[bytes, Tier] = OrderedDict()

    def __len__(self) -> int:
        """How many it remembers."""
        return len(self._tiers)

    def recall(self, asked: str, text: str) -> Tier | None:
        """Return what the workload `asked` said of `text`; None where that is not remembered."""
        key = _key(asked, text)
        if key in self._tiers:
            self._tiers.move_to_end(key)
        return self._tiers.get(key)

    def keep(self, asked: str, text: str, tier: Tier) -> None:
        """Remember what the workload `asked` said of `text`."""
        self._tiers[_key(asked, text)] = tier
        if len(self._tiers) > self._most:
            self._tiers.popitem(last=False)


def _key(asked: str, text: str) -> bytes:
    return blake2b(f"{asked}\0{text}".encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()
