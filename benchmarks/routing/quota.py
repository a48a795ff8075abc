"""A provider's limit on requests: a bucket that refills all the time, or a count within fixed minutes."""

from __future__ import annotations

import math
from typing import Final

from benchmarks.routing.trace import Provider

__all__ = ["Quota"]

_MINUTE_S: Final = 60.0
_FULL: Final = 1e-9
"""Rounding must not turn a whole token into nearly one."""


class Quota:
    """How many requests a provider takes now; without `rpm` it takes all."""

    def __init__(self, provider: Provider) -> None:
        """Start full."""
        self.limited = provider.rpm is not None
        rpm = provider.rpm or math.inf
        self._windowed = provider.limit_kind == "window"
        self._most = rpm if self._windowed else (provider.burst or max(1.0, rpm / 6))
        self._per_s = rpm / _MINUTE_S
        self._left = self._most
        self._counted_at = 0.0

    def take(self, now: float) -> bool:
        """Use up one request's share; False where none is left."""
        if not self.limited:
            return True
        self._count(now)
        if self._left < 1 - _FULL:
            return False
        self._left -= 1
        return True

    def remaining(self, now: float) -> int:
        """Return how many more requests would be taken now."""
        self._count(now)
        return math.floor(self._left + _FULL)

    def reset_s(self, now: float) -> float:
        """Return the seconds until one more is taken: the next token, or the next window; 0 where it is full."""
        self._count(now)
        if self._windowed:
            return _MINUTE_S - now % _MINUTE_S
        if self._left >= self._most - _FULL:
            return 0.0
        return (math.floor(self._left + _FULL) + 1 - self._left) / self._per_s

    def _count(self, now: float) -> None:
        if not self._windowed:
            self._left = min(self._most, self._left + (now - self._counted_at) * self._per_s)
        elif now // _MINUTE_S > self._counted_at // _MINUTE_S:
            self._left = self._most
        self._counted_at = now
