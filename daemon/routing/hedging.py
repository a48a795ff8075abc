"""Hedging: when a second target is asked too because the first says nothing, and what that may cost in all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from daemon.routing.leases import Candidate, Choice, RouteQuery
from state.targets import TargetName

__all__ = [
    "HEDGE_MOST",
    "HEDGE_SHARE",
    "HEDGE_START",
    "HedgeBudget",
    "candidate_of",
    "hedge_after",
    "hedge_helps",
    "hedge_time",
]

HEDGE_SHARE: Final = 0.06
"""Hedges that each request earns. This and the next three numbers are the measured algorithm's: of the earlier and the
more frequent hedges that were tried in its simulator none helped."""
HEDGE_MOST: Final = 8.0
"""Hedges that can be saved up."""
HEDGE_START: Final = 3.0
"""Hedges that a daemon may make before its first request has earned any."""
_EARLIEST_S: Final = 0.1
"""Seconds within which nobody is called silent."""


class HedgeBudget(msgspec.Struct, frozen=True):
    """How many hedges may be sent now, as a value."""

    left: float = HEDGE_START

    def after_request(self) -> HedgeBudget:
        """Return the budget after one more request that could be hedged."""
        return HedgeBudget(min(HEDGE_MOST, self.left + HEDGE_SHARE))

    def after_hedge(self) -> HedgeBudget | None:
        """Return the budget after one more hedge, None where it does not allow one."""
        return HedgeBudget(self.left - 1.0) if self.left >= 1.0 else None


def hedge_after(own: Candidate, others: Sequence[Candidate]) -> float | None:
    """Return how many seconds after it was granted a silent attempt is worth a hedge, None for never.

    Not before 99 in 100 would have begun, nor while waiting on is quicker than starting anew at the best of the others.
    """
    expected = [
        other.terms["expected_s"] for other in others if other.score is not None and "expected_s" in other.terms
    ]
    terms = own.terms
    if not expected or not terms.keys() >= {"first_p99_s", "generation_s"}:
        return None
    return max(terms["first_p99_s"] + terms.get("wait_s", 0.0), min(expected) - terms["generation_s"], _EARLIEST_S)


def hedge_helps(own: Candidate, runner_up: Candidate | None, age_s: float) -> bool:
    """Return whether the runner-up would be done before an attempt that has said nothing for `age_s` seconds."""
    if runner_up is None or "expected_s" not in runner_up.terms or "generation_s" not in own.terms:
        return False
    return runner_up.terms["expected_s"] <= age_s + own.terms["generation_s"]


def hedge_time(choice: Choice, query: RouteQuery) -> float | None:
    """Return how many seconds after the grant of `choice` it is hedged, None for never.

    An answer that comes in one piece is silent for as long as it is being written, and that is no sign of anything.
    """
    own = candidate_of(choice, choice.chosen)
    if own is None:
        return None
    after_s = hedge_after(own, [each for each in choice.candidates if each is not own])
    if after_s is None or query.streamed:
        return after_s
    return after_s + own.terms["generation_s"]


def candidate_of(choice: Choice, target: TargetName | None) -> Candidate | None:
    """Return the candidate that `target` was in `choice`, None where it was none."""
    return next((candidate for candidate in choice.candidates if candidate.target == target), None)
