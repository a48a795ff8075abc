"""The inputs that are mutated further: the seeds, and whatever reached something new."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from benchmarks.fuzz.surface import Mutate

__all__ = ["Corpus"]

_MOST: Final = 600
_LONGEST: Final = 16 * 1024
_NEWER: Final = 0.3
"""How often what was kept late is preferred."""


class Corpus:
    """Gives inputs by chance, the same for the same seed and the same answers to `keep`."""

    def __init__(self, seeds: Sequence[bytes], mutate: Mutate, seed: str) -> None:
        """Begin with `seeds`, each of which is given once as it is."""
        self.luck = random.Random(seed)  # noqa: S311 - a fuzzer's luck is no secret
        self._mutate = mutate
        self._kept = list(seeds)
        self._unseen = list(reversed(seeds))

    def next(self) -> bytes:
        """Return the next input."""
        if self._unseen:
            return self._unseen.pop()
        return self._mutate(self.known(), self.luck)

    def known(self) -> bytes:
        """Return one of those that are kept."""
        place = self.luck.randrange(len(self._kept))
        if self.luck.random() < _NEWER:
            place = max(place, self.luck.randrange(len(self._kept)))
        return self._kept[place]

    def keep(self, data: bytes) -> None:
        """Mutate `data` further from now on, unless it is so long that keeping many of them would look like a leak."""
        if len(data) > _LONGEST:
            return
        if len(self._kept) < _MOST:
            self._kept.append(data)
        else:
            self._kept[self.luck.randrange(len(self._kept))] = data
