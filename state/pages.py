"""What a provider's status page says of it: a weak prior, which a target's own fresh evidence outweighs."""

from __future__ import annotations

import math
from typing import Final

import msgspec

__all__ = ["HEARD_MOST", "PAGE_FADES_S", "PageReport"]

PAGE_FADES_S: Final = 180.0
"""A report is ignored once it is older: three readings were missed by then."""
HEARD_MOST: Final = 5
"""Own outcomes that leave a page its least weight."""
_FRESH_S: Final = 30.0
"""How old an own outcome may be to count against the page."""
_LEAST_WEIGHT: Final = 0.2


class PageReport(msgspec.Struct, frozen=True):
    """What a status page said when it was read."""

    level: float = 0.0
    """The share of requests that it makes one expect to fail, 0 where nothing is wrong."""
    text: str = ""
    """In one line."""
    at: float = -math.inf
    """When it was read, monotonic seconds."""

    @property
    def until(self) -> float:
        """When it has faded."""
        return self.at + PAGE_FADES_S

    def believed(self, heard: tuple[float, ...], now: float) -> float:
        """Return the share of failures to expect at `now` by the page alone; `heard` says when own outcomes came.

        In full where nothing was heard within 30 s, a fifth of it from five outcomes on, and evenly between.
        """
        if now >= self.until:
            return 0.0
        fresh = sum([now - at <= _FRESH_S for at in heard[-HEARD_MOST:]])
        return self.level * (1.0 - (1.0 - _LEAST_WEIGHT) * fresh / HEARD_MOST)
