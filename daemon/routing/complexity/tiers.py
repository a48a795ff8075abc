"""The three tiers of models, and what a request was found to need."""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = ["Classified", "Tier"]


class Tier(StrEnum):
    """How able a model has to be, from the least to the most."""

    SIMPLE = "simple"
    MODERATE = "moderate"
    COMPLEX = "complex"

    @property
    def rank(self) -> int:
        """The number of tiers below this one."""
        return _RANKS[self]


_RANKS = {tier: rank for rank, tier in enumerate(Tier)}


class Classified(msgspec.Struct, frozen=True, kw_only=True):
    """A tier, the sum that led to it, and what was added up.

    Reasons hold our own words and counts alone, never a word of the prompt: they may be logged and kept.
    """

    tier: Tier
    score: float
    reasons: tuple[str, ...]
