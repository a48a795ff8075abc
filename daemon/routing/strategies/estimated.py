"""The strategies that estimate: by what a request takes at a target, by what it costs, or by both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from daemon.routing.latency import Contender, Scored, by_latency
from daemon.routing.strategies.strategy import Moment, cost_of_contender

__all__ = ["Cheapest", "LowestLatency"]

_UNPRICED: Final = 1e6
"""After every price that is known: nobody can say that a target of unknown price is cheap."""
_TIE: Final = 1e-9
"""Of targets that cost the same the quicker one: a second counts for a billionth of a dollar."""


class LowestLatency:
    """The fewest seconds, failures included; with `seconds_per_dollar` money counts as time."""

    def scored(self, contenders: Sequence[Contender], moment: Moment) -> list[Scored]:
        """Return the seconds that the request is expected to cost at each contender."""
        scored = by_latency(contenders, moment.tokens, moment.now)
        rate = moment.workload.seconds_per_dollar
        if rate is None:
            return scored
        pairs = zip(scored, contenders, strict=True)
        return [_with_money(each, cost_of_contender(contender, moment), rate) for each, contender in pairs]

    def reason(self, terms: Mapping[str, float]) -> str:
        """Return why."""
        if "unknown" in terms:
            return "nothing is known of it yet"
        if "cost_s" in terms:
            spent = f"${terms['cost_usd']:.6f}" if "cost_usd" in terms else "an unknown price"
            return f"least time and money, {terms['expected_s'] * 1e3:.0f} ms and {spent} expected"
        return f"lowest latency, {terms['expected_s'] * 1e3:.0f} ms expected"


class Cheapest:
    """The fewest dollars that the request is expected to cost; of those alike the quickest."""

    def scored(self, contenders: Sequence[Contender], moment: Moment) -> list[Scored]:
        """Return the dollars that the request is expected to cost at each contender."""
        seconds = by_latency(contenders, moment.tokens, moment.now)
        return [
            _priced(cost_of_contender(contender, moment), seconds_s, terms)
            for contender, (seconds_s, terms) in zip(contenders, seconds, strict=True)
        ]

    def reason(self, terms: Mapping[str, float]) -> str:
        """Return why."""
        if "cost_usd" not in terms:
            return "no price is known; lowest latency"
        return f"cheapest, ${terms['cost_usd']:.6f} expected"


def _with_money(scored: Scored, cost_usd: float | None, rate: float) -> Scored:
    score, terms = scored
    if cost_usd is None:
        terms["cost_s"] = _UNPRICED
    else:
        terms["cost_usd"], terms["cost_s"] = cost_usd, cost_usd * rate
    return (score if score < 0.0 else score + terms["cost_s"]), terms  # a trial comes first, whatever it costs


def _priced(cost_usd: float | None, seconds_s: float, terms: dict[str, float]) -> Scored:
    if seconds_s < 0.0:
        return seconds_s, terms
    if cost_usd is None:
        return _UNPRICED + seconds_s * _TIE, terms
    terms["cost_usd"] = cost_usd
    return cost_usd + seconds_s * _TIE, terms
