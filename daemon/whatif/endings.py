"""How a request ended, and how it is expected to have ended."""

from __future__ import annotations

from typing import Final, NamedTuple

from daemon.whatif.neighbours import Basis
from state.history.journeys import RecordedRequest

__all__ = ["Ending", "Result", "as_recorded", "refused"]

_FAILED: Final = frozenset({"failed", "cut", "refused"})


class Ending(NamedTuple):
    """One way in which a request may have ended."""

    weight: float
    outcome: str
    """`ok`, `failed`, or `cancelled` by its client."""
    latency_s: float
    attempts: int
    cost_usd: float | None = None
    estimated: bool = False
    """Whether its cost rests on anything but providers' own counts for this very request."""


class Result(NamedTuple):
    """A request as it was, and as it is expected to be."""

    request: RecordedRequest
    before: Ending
    after: tuple[Ending, ...]
    """With weights that sum up to 1; empty where it is unknown."""
    basis: Basis
    first_before: str | None
    first_after: str | None
    """Where it went first, and where it would go; None for nowhere."""
    unknown_at: str | None = None
    """The target of which nothing is known that the expectation would need."""
    repriced: bool = False
    """Whether no cost was recorded, and what it was is counted at the prices of the other configuration."""
    unsorted: bool = False
    """Whether it is unknown since nobody wrote down what the request is: its tier, its task."""
    unjudged: bool = False
    """Whether a cascade's answer is taken as good that nobody can judge any more."""


def as_recorded(request: RecordedRequest) -> Ending:
    """Return how a request ended."""
    outcome = "failed" if request.outcome in _FAILED else request.outcome
    cost_usd = request.cost_usd if request.tries else 0.0
    return Ending(1.0, outcome, request.latency_ms / 1e3, request.tries, cost_usd)


def refused(request: RecordedRequest) -> Result:
    """Return what comes of a request for a name that nothing has: it is told so at once."""
    first = request.attempts[0].target if request.attempts else None
    ending = Ending(1.0, "failed", 0.0, 0, 0.0)
    return Result(request, as_recorded(request), (ending,), Basis.RULES, first, None)
