"""The policies that can be compared, by name."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.routing.engine import Policy

__all__ = ["POLICIES"]

POLICIES: dict[str, Callable[[int], Policy]] = {}
"""Each makes a policy from the seed of a run."""
