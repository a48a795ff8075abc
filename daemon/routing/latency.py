"""The score of a target by what a request is expected to cost there: seconds to its end, failures included."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from state.latency.forecast import forecast_of
from state.latency.level import expected, p99
from state.prices import Price
from state.standing import Standing, TargetHealth

__all__ = ["Contender", "Scored", "Silence", "by_latency", "patience_s"]

_HEALTHY: Final = Standing.HEALTHY
_TRIAL: Final = -1.0
"""Before every latency: a target on probation gets its trial, or it would never come back."""
_TRIAL_WITHIN_S: Final = 60.0
"""For how long a target that a canary vouches for waits until it is the best before it gets its trial all the same."""
_CROWDED: Final = 1e3
"""After every latency: nothing is known of an unproven target but that somebody is finding out."""
_UNKNOWN: Final = 1e-3
"""A newcomer is before every other; among newcomers the nearer ones are first."""
_SILENT: Final = 1.6
"""Who has said nothing for this long will say nothing for this many times as long: facts/routing.md, section 1.

For each request that waits in vain: that two at once are stragglers is unlikely.
"""
_RETRY_S: Final = 1.5
"""What a failure costs besides the time until it shows and the time of the next target; never more than the latter."""
_PATIENT: Final = 8.0
_LEAST_PATIENCE_S: Final = 10.0
_CUT_S: Final = 60.0
"""What a stream that breaks costs: nothing repairs it."""

Scored = tuple[float, dict[str, float]]
"""A score, lower is better, and the terms it was made of."""


class Silence(msgspec.Struct, frozen=True):
    """A request at a target without a first token, where none that was sent later has had one either."""

    since: float
    """When it was sent."""
    allowed_s: float = 0.0
    """How much longer than a first token it was expected to take from the start."""
    until: float = math.inf
    """When it was given up, infinity while it is under way."""

    def age_s(self, now: float) -> float:
        """Return for how long it was silent beyond what was allowed."""
        return min(now, self.until) - self.since - self.allowed_s


class Contender(msgspec.Struct, frozen=True):
    """A target that could take the request now."""

    index: int
    """Its place in the workload's `targets`."""
    health: TargetHealth
    in_flight: int
    silences: tuple[Silence, ...] = ()
    idle_s: float = 0.0
    """Seconds since a request was last sent to it."""
    price: Price | None = None
    """What it asks, None where that is unknown."""


def by_latency(contenders: Sequence[Contender], tokens: float, now: float) -> list[Scored]:
    """Return each contender's score: the seconds that a request of `tokens` is expected to cost there."""
    least, terms = math.inf, []
    for contender in contenders:
        expected_terms = _expected(contender, tokens, now)
        terms.append(expected_terms)
        least = min(least, expected_terms["expected_s"])
    again_s = least + min(_RETRY_S, least)
    return [(_score(contender, each, again_s, now), each) for contender, each in zip(contenders, terms, strict=True)]


def _expected(contender: Contender, tokens: float, now: float) -> dict[str, float]:
    health = contender.health
    forecast = health.forecast or forecast_of(health.estimator)
    first_s = forecast.first_s if now <= forecast.sure_until else expected(health.estimator.first, now)
    generation_s = tokens * forecast.token_s
    if forecast.simple and not contender.silences:
        return {"expected_s": first_s + generation_s, "first_s": first_s, "generation_s": generation_s}
    if health.mean_s is not None:
        return {"expected_s": health.mean_s, "mean_s": health.mean_s}
    estimator = health.estimator
    if contender.silences:
        first_s = _with_silences(contender, first_s, now)
    first_s += estimator.cold.wait(contender.idle_s)
    wait_s = estimator.wait_s(contender.in_flight + 1)
    return {
        "expected_s": first_s + wait_s + generation_s,
        "first_s": first_s,
        "generation_s": generation_s,
        "wait_s": wait_s,
    }


def _with_silences(contender: Contender, first_s: float, now: float) -> float:
    """Return the time to expect to a first token where some wait for theirs: evidence before it times out."""
    heard_from = contender.health.answered_from
    ages = [silence.age_s(now) for silence in contender.silences if silence.since >= heard_from]
    if not ages:
        return first_s
    longest, vain = max(ages), 1
    if longest <= first_s:
        return first_s
    if len(ages) > 1:
        p99_s = p99(contender.health.estimator.first, now)
        vain = max(1, sum([age > p99_s for age in ages]))
    return max(first_s, _SILENT * longest * vain)


def _score(contender: Contender, terms: dict[str, float], again_s: float, now: float) -> float:
    health = contender.health
    if health.standing is not _HEALTHY and (special := _special(contender, terms, now)) is not None:
        return special
    reliability = health.reliability
    errors = reliability.error_share(now)
    score = terms["expected_s"]
    failing_s = reliability.failure_s + again_s - score
    if health.page is not None and health.page.level:
        told = terms["page"] = health.page.believed(health.heard, now)
        errors = max(errors, told) if failing_s > 0.0 else errors  # bad news never makes a target look better
    terms["errors"] = errors
    score += errors * failing_s
    if reliability.cuts:
        cuts = terms["cuts"] = reliability.cut_share(now)
        score += _CUT_S * cuts
    return score


def _special(contender: Contender, terms: dict[str, float], now: float) -> float | None:
    """Return the score of a target that is tried because it must be, or left to who is trying it; None for others."""
    health = contender.health
    if health.standing is Standing.PROBATION and _is_due(health, now):
        terms["trial"] = 1.0
        return _TRIAL
    if health.standing is Standing.UNPROVEN:
        if contender.in_flight:
            terms["unproven_in_flight"] = float(contender.in_flight)
            return _CROWDED * contender.in_flight + terms["expected_s"]
        if not health.estimator.first.count:
            terms["unknown"] = 1.0
            return _UNKNOWN * (health.expected_s or 0.0)
    return None


def _is_due(health: TargetHealth, now: float) -> bool:
    if health.trial_from is not None:
        return now >= health.trial_from
    return now - health.since >= _TRIAL_WITHIN_S


def patience_s(terms: Mapping[str, float], at_most: float) -> float:
    """Return how long a first token is waited for: eight times what 99 in 100 take, from ten seconds to `at_most`."""
    p99_s = terms.get("first_p99_s")
    if p99_s is None:
        return at_most
    return max(min(_LEAST_PATIENCE_S, at_most), min(at_most, _PATIENT * p99_s + terms.get("wait_s", 0.0)))
