"""What a classifier's choices are worth: the confusion matrix, the quality-weighted error and the bill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from benchmarks.complexity.prompts import Labelled
from daemon.routing.complexity.tiers import Tier

__all__ = ["ANSWERS", "LADDERS", "TUTORIAL", "Answers", "Costs", "Score", "mean", "score", "shares_of"]

Ladder = dict[Tier, float]
"""Dollars for a million tokens, by tier."""
Answers = dict[Tier, int]
"""Tokens of a good answer, by the tier that a request is labelled with."""

LADDERS: Final[dict[str, Ladder]] = {
    "0.15/2.5/15": {Tier.SIMPLE: 0.15, Tier.MODERATE: 2.5, Tier.COMPLEX: 15.0},
    "0.75/12.5/18": {Tier.SIMPLE: 0.75, Tier.MODERATE: 12.5, Tier.COMPLEX: 18.0},
}
"""The prices of the two tutorials that the keyword lists are from; the second adds input and output."""
ANSWERS: Final[Answers] = {Tier.SIMPLE: 60, Tier.MODERATE: 450, Tier.COMPLEX: 1200}

_RANK: Final = {tier: rank for rank, tier in enumerate(Tier)}
_ERROR: Final = {-2: 3.0, -1: 1.0, 0: 0.0, 1: 0.25, 2: 0.5}
"""What it is worth to be so many tiers off: below what is needed costs the answer, above it only money."""

Shares = dict[Tier, float]
"""How many of a thousand requests are labelled with each tier."""
TUTORIAL: Final[Shares] = {Tier.SIMPLE: 700.0, Tier.MODERATE: 200.0, Tier.COMPLEX: 100.0}
"""The traffic of a typical application, by the tutorial of list B."""


class Costs(msgspec.Struct, frozen=True):
    """What a set is billed by: the mix of the tiers, their prices and the length of their answers."""

    shares: Shares
    ladder: Ladder
    answers: Answers


class Score(msgspec.Struct, frozen=True):
    """The figures of one classifier for a thousand requests."""

    right: float
    """The share of requests on the tier of their label."""
    error: float
    """Quality-weighted, per request."""
    bill: float
    """Dollars for the answers as routed, good or not."""
    mended: float
    """Dollars where every answer that came from too small a model is asked for again, a tier higher each time."""


def shares_of(rows: Sequence[Labelled]) -> Shares:
    """Return the shares of the tiers as they are among `rows`."""
    counts = Counter(row.tier for row in rows)
    return {tier: 1000 * counts[tier] / len(rows) for tier in Tier}


def score(rows: Sequence[Labelled], tiers: Sequence[Tier], costs: Costs) -> Score:
    """Return what it is worth to send each of `rows` to the tier beside it."""
    right = error = bill = mended = 0.0
    counts = Counter(row.tier for row in rows)
    for row, tier in zip(rows, tiers, strict=True):
        weight = costs.shares[row.tier] / counts[row.tier]
        tokens = weight * (row.tokens + costs.answers[row.tier]) / 1e6
        right += weight * (row.tier is tier)
        error += weight * _ERROR[_RANK[tier] - _RANK[row.tier]]
        bill += tokens * costs.ladder[tier]
        mended += tokens * _price_with_redos(costs.ladder, row.tier, tier)
    return Score(right / 1000, error / 1000, bill, mended)


def mean(scores: Sequence[Score]) -> Score:
    """Return the mean of each figure."""
    figures = [msgspec.structs.astuple(one) for one in scores]
    return Score(*(sum(column) / len(column) for column in zip(*figures, strict=True)))


def _price_with_redos(ladder: Ladder, needed: Tier, chosen: Tier) -> float:
    """Return the price of a token where every tier from the chosen to the needed one is asked."""
    last = max(_RANK[needed], _RANK[chosen])
    return sum(ladder[tier] for tier, rank in _RANK.items() if _RANK[chosen] <= rank <= last)
