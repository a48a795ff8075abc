"""The tiers of difficulty, and what a classifier found."""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = ["Borders", "Classified", "Tier"]


class Tier(StrEnum):
    """How good a model a request needs, the least first."""

    SIMPLE = "simple"
    """A small model gets it right nearly always: a fact, a label, an extraction, a line of code."""
    MODERATE = "moderate"
    """A middling model does it well: an explanation, a summary, an ordinary function, a letter."""
    COMPLEX = "complex"
    """Only a strong model does: a design, a proof, a hidden bug, a judgement on conflicting evidence."""


class Borders(msgspec.Struct, frozen=True):
    """The scores at which the tiers meet. The defaults were set on the tune set (docs/complexity.md)."""

    moderate: float = -0.25
    """From this score on a request is moderate…"""
    complex: float = 2.0
    """…and from this one it is complex: raise it, and more is answered by cheaper models, some of it worse."""

    def tier_of(self, score: float) -> Tier:
        """Return the tier that `score` lies in."""
        if score >= self.complex:
            return Tier.COMPLEX
        return Tier.MODERATE if score >= self.moderate else Tier.SIMPLE


class Classified(msgspec.Struct, frozen=True):
    """What a classifier found, and why."""

    tier: Tier
    score: float
    """The sum of the signals."""
    reasons: tuple[str, ...] = ()
    """Each signal that spoke, such as `asks for a design (+2.0)`; never a word of the request."""
