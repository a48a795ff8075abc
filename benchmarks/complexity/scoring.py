"""What each decision costs, in errors and in dollars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from benchmarks.complexity.baselines import Decide
from benchmarks.complexity.prompts import Prompt
from daemon.routing.complexity.tiers import Tier

__all__ = ["ANSWER_TOKENS", "PRICE", "Score", "score"]

PRICE: Final = {Tier.SIMPLE: 0.15, Tier.MODERATE: 2.5, Tier.COMPLEX: 15.0}
"""Dollars per million tokens, prompt and answer alike: the published router that prices its three tiers apart."""
PER_QUERY: Final = {Tier.SIMPLE: 0.00075, Tier.MODERATE: 0.0125, Tier.COMPLEX: 0.018}
"""Dollars per request of a thousand tokens: the other published router's own account of what it saves."""
ANSWER_TOKENS: Final = {Tier.SIMPLE: 60, Tier.MODERATE: 400, Tier.COMPLEX: 1200}
"""How long an answer is, by the tier that the request needs: guesses, the same for every decider."""
_WEIGHT: Final[Mapping[int, float]] = {-2: 3.0, -1: 1.0, 0: 0.0, 1: 0.25, 2: 0.5}
"""An answer too weak costs its reader; one too able costs money alone, which the bill counts as well."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How a decider did on some prompts."""

    confusion: Counter[tuple[Tier, Tier]]
    """How often, by needed and decided tier."""
    errors: float
    per_query: float
    """Dollars where every request is a thousand tokens."""
    bill: float
    """Dollars for the tokens of the prompt and of the answer."""
    bill_with_redo: float
    """Dollars; with redo, an answer that was too weak is asked for again, a tier higher each time."""

    @property
    def accuracy(self) -> float:
        """The share that was told right."""
        return sum(n for (needed, decided), n in self.confusion.items() if needed is decided) / self.confusion.total()


def score(prompts: Iterable[Prompt], decide: Decide) -> Score:
    """Decide every prompt and add up."""
    decided = [(prompt, decide(prompt)) for prompt in prompts]
    return Score(
        confusion=Counter((prompt.tier, tier) for prompt, tier in decided),
        errors=sum(_WEIGHT[tier.rank - prompt.tier.rank] for prompt, tier in decided),
        per_query=sum(PER_QUERY[tier] for _, tier in decided),
        bill=sum(_paid(prompt, tier) for prompt, tier in decided),
        bill_with_redo=sum(_paid(prompt, each) for prompt, tier in decided for each in _asked_in_turn(prompt, tier)),
    )


def _asked_in_turn(prompt: Prompt, first: Tier) -> list[Tier]:
    return [tier for tier in Tier if first.rank <= tier.rank <= max(prompt.tier.rank, first.rank)]


def _paid(prompt: Prompt, tier: Tier) -> float:
    return (prompt.tokens + ANSWER_TOKENS[prompt.tier]) * PRICE[tier] / 1e6
