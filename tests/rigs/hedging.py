"""A dispatcher that knows what to expect of its targets, as a test says: hedges need figures to go by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from daemon.dispatcher import Dispatcher
from daemon.routing.leases import Candidate, Choice, RouteQuery
from state.targets import TargetName

__all__ = ["FiguredDispatcher", "Figures", "figures"]

Figures = Mapping[TargetName, Mapping[str, float]]
"""The terms of each target's score, in seconds."""


def figures(first_s: float = 0.01, *, p99_s: float = 0.02, wait_s: float = 0.0, generation_s: float = 0.05) -> Any:
    """Return the terms of a target."""
    expected_s = first_s + wait_s + generation_s
    terms = {"first_s": first_s, "first_p99_s": p99_s, "wait_s": wait_s, "generation_s": generation_s}
    return {**terms, "expected_s": expected_s}


class FiguredDispatcher(Dispatcher):
    """Chooses as ever, and adds the figures it was told to every candidate that has a score."""

    figures: Figures = MappingProxyType({})

    def _choose(self, query: RouteQuery, now: float) -> Choice:
        choice = super()._choose(query, now)
        return replace(choice, candidates=tuple(self._with_figures(each) for each in choice.candidates))

    def _with_figures(self, candidate: Candidate) -> Candidate:
        known = self.figures.get(candidate.target)
        return candidate if known is None or candidate.score is None else replace(candidate, terms=known)
