"""Hedging: when a second target is asked too because the first says nothing, and what that may cost in all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from daemon.routing.leases import Candidate

__all__ = ["FULL_BUDGET", "HedgeBudget", "hedge_after", "hedge_helps"]

_SHARE: Final = 0.06
_MOST: Final = 8.0
_START: Final = 3.0
_EARLIEST_S: Final = 0.1


class HedgeBudget(msgspec.Struct, frozen=True):
    """How many hedges may be sent now: each request adds a share of one. Source: facts/routing.md, section 1."""

    left: float = _START

    def after_request(self) -> HedgeBudget:
        """Return the budget after one more request."""
        return HedgeBudget(min(_MOST, self.left + _SHARE))

    def after_hedge(self) -> HedgeBudget | None:
        """Return the budget after one more hedge, None where it does not allow one."""
        return HedgeBudget(self.left - 1.0) if self.left >= 1.0 else None


FULL_BUDGET: Final = HedgeBudget()


def hedge_after(own: Candidate, others: Sequence[Candidate]) -> float | None:
    """Return how many seconds after it was sent a silent request is worth a hedge, None for never.

    Not before 99 in 100 would have begun, nor while waiting on is quicker than starting anew at the best of the others.
    """
    least = min((other.terms["expected_s"] for other in others if "first_s" in other.terms), default=None)
    if least is None or "first_p99_s" not in own.terms:
        return None
    terms = own.terms
    return max(terms["first_p99_s"] + terms["wait_s"], least - terms["generation_s"], _EARLIEST_S)


def hedge_helps(own: Candidate, runner_up: Candidate, age_s: float) -> bool:
    """Return whether the runner-up is expected to be done before a request that has been silent for `age_s`."""
    return runner_up.terms["expected_s"] <= age_s + own.terms["generation_s"]
