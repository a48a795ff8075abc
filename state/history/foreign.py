"""Rows of a file that is damaged or was made by others: STRICT vouches for the types of our own alone."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["UNLIKE_OURS", "when"]

UNLIKE_OURS: Final = (TypeError, OverflowError, AttributeError)
"""What reading a row raises whose cells are not of the types that our tables have."""


def when(at_ms: Any) -> float:
    """Return what a row's time is worth in the order of time: where it is none, it comes first."""
    return float(at_ms) if isinstance(at_ms, int | float) else 0.0
