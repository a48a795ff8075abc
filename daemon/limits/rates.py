"""Rates by the minute: a bucket that holds a minute's worth and fills evenly. Pure.

A bucket is one number, the monotonic time at which it will be full again if nobody takes from it (the generic cell
rate algorithm of ATM networks); so it needs no ticking, and 0.0 is a full one. Amounts are requests or tokens.
"""

from __future__ import annotations

import math
from typing import Final

__all__ = ["MINUTE_S", "frees_in", "given_back", "left_in", "taken"]

MINUTE_S: Final = 60.0
_ROUNDING_S: Final = 1e-6
"""Sums of shares of a minute come out a little above it; nobody waits for that."""


def frees_in(full_at: float, amount: float, per_minute: float, now: float) -> float:
    """Return the seconds until `amount` is in the bucket: 0.0 where it is now, inf where it never will be."""
    need_s = amount * MINUTE_S / per_minute if per_minute > 0 else math.inf
    if need_s > MINUTE_S + _ROUNDING_S:
        return math.inf
    wait_s = max(full_at, now) + need_s - now - MINUTE_S
    return wait_s if wait_s > _ROUNDING_S else 0.0


def taken(full_at: float, amount: float, per_minute: float, now: float) -> float:
    """Return the bucket after `amount` was taken; more than it has leaves a debt, which is waited for later."""
    return max(full_at, now) + amount * MINUTE_S / per_minute


def given_back(full_at: float, amount: float, per_minute: float) -> float:
    """Return the bucket after `amount` was put back; what is more than it holds runs over."""
    return full_at - amount * MINUTE_S / per_minute


def left_in(full_at: float, per_minute: float, now: float) -> float:
    """Return how much is in the bucket; below 0 where it is in debt."""
    return per_minute * (1.0 - max(0.0, full_at - now) / MINUTE_S)
