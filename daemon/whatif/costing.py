"""What recorded attempts cost at other prices, and what the same work would cost at another target. Pure.

An attempt that was made is charged again by its provider's own counts. One that was not is estimated: the request's
counts at the other target's price, though that one would have counted and written otherwise, and nothing is known of
its cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from daemon.routing.policy import TargetPlace
from daemon.whatif.then import Then
from state.faults import Fault
from state.history.journeys import RecordedAttempt, RecordedRequest
from state.outcome import Usage, Work
from state.prices import Price, cost_of, expected_cost
from state.targets import TargetName

__all__ = ["FREE", "UNKNOWN", "Prices", "Spent", "counts_of"]

_INTERRUPTED: Final = frozenset({Fault.CANCELLED.value, Fault.CUT.value})
_UNCOUNTED: Final = Usage()


class Spent(NamedTuple):
    """Dollars."""

    usd: float | None = 0.0
    """None where it is unknown."""
    estimated: bool = False
    """Whether it rests on anything but a provider's own counts for this very attempt."""

    def plus(self, more: Spent) -> Spent:
        """Return both together, unknown where one is."""
        usd = None if self.usd is None or more.usd is None else self.usd + more.usd
        return Spent(usd, self.estimated or more.estimated)


FREE: Final = Spent()
UNKNOWN: Final = Spent(None)


class Prices:
    """The prices of a configuration, to charge recorded work by."""

    def __init__(self, places: Mapping[TargetName, TargetPlace]) -> None:
        """Charge by the prices of `places`."""
        self._places = places

    def all_again(self, request: RecordedRequest, then: Then | None) -> Spent:
        """Return what all attempts of a request cost by these prices."""
        total = FREE
        for attempt in request.attempts:
            total = total.plus(self.again(attempt, request, then))
        return total

    def again(self, attempt: RecordedAttempt, request: RecordedRequest, then: Then | None) -> Spent:
        """Return what one attempt cost by these prices; `then` is what the request's first choice was made from."""
        usage = counts_of(attempt, request)
        if _is_free(attempt, usage, then):
            return FREE
        target = TargetName(attempt.target)
        price = self._price(target)
        if price is None:
            return UNKNOWN
        if attempt.cost_usd is not None and (attempt.cost_estimated or _price_then(target, then) == price):
            return Spent(attempt.cost_usd, bool(attempt.cost_estimated))
        return _charged(price, usage)

    def elsewhere(self, target: TargetName, request: RecordedRequest, then: Then | None, like: Usage) -> Spent:
        """Return what a request is expected to cost at a target that did not answer it.

        Its own counts are taken; where it was never answered, its estimated length and the counts of a request that is
        `like` it.
        """
        price = self._price(target)
        if _counts_only(then):
            return FREE
        prompt, completion = request.prompt_tokens, request.completion_tokens
        if prompt is None:
            prompt = then.query.tokens if then is not None and then.query.tokens else like.prompt_tokens
        if completion is None:
            completion = like.completion_tokens if then is None or then.query.surface.generates else 0
        if price is None or prompt is None or completion is None:
            return UNKNOWN
        return Spent(expected_cost(price, prompt, completion), estimated=True)

    def _price(self, target: TargetName) -> Price | None:
        place = self._places.get(target)
        return None if place is None else place.price


def counts_of(attempt: RecordedAttempt, request: RecordedRequest) -> Usage:
    """Return what was counted for an attempt; before version 4 only a request says so, for the one that answered."""
    usage = Usage(attempt.prompt_tokens, attempt.completion_tokens, attempt.cached_tokens, attempt.cache_write_tokens)
    if usage == _UNCOUNTED and attempt is request.attempts[-1] and attempt.fault is None:
        return Usage(request.prompt_tokens, request.completion_tokens, request.cached_tokens)
    return usage


def _charged(price: Price, usage: Usage) -> Spent:
    usd = cost_of(price, usage)
    if usd is not None:
        return Spent(usd)
    if usage.prompt_tokens is None:
        return UNKNOWN
    return Spent(expected_cost(price, usage.prompt_tokens, usage.completion_tokens or 0), estimated=True)


def _is_free(attempt: RecordedAttempt, usage: Usage, then: Then | None) -> bool:
    """Whether nobody charges for it: it only counts tokens, or failed before anything was counted."""
    if _counts_only(then):
        return True
    failed = attempt.fault is not None and attempt.fault not in _INTERRUPTED
    return usage == _UNCOUNTED and (attempt.cost_usd == 0.0 or (attempt.cost_usd is None and failed))


def _counts_only(then: Then | None) -> bool:
    return then is not None and then.query.surface.work is Work.COUNT


def _price_then(target: TargetName, then: Then | None) -> Price | None:
    place = None if then is None else then.routes.places.get(target)
    return None if place is None else place.price
