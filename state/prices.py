"""What tokens cost: a provider's price list for one model, and the arithmetic on it. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from state.outcome import Usage

__all__ = ["Price", "PriceTier", "ceiling_of", "cost_of", "expected_cost"]

_MILLION: Final = 1_000_000
_REDUCED: Final = frozenset({"batch", "flex"})
"""OpenAI sells its tier `flex` at the rates of its batches; nobody else has one."""


class PriceTier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other rates for a request with a long input."""

    above: int
    """The tier holds for a request whose input has more tokens than this, and for all of its tokens."""
    input: float | None = None
    """Dollars for a million tokens; None where the tier leaves a rate as it is."""
    output: float | None = None
    cached_input: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one model costs, in dollars for a million tokens."""

    input: float
    output: float
    cached_input: float | None = None
    """For input that was read from a cache; None where it costs what input does."""
    cache_write: float | None = None
    """For input that was written to a cache; None where it costs what input does."""
    cache_write_1h: float | None = None
    """For input that was written to a cache for an hour; None where it costs what `cache_write` does."""
    per_request: float = 0.0
    """Dollars for each request, besides its tokens."""
    batch: float | None = None
    """What the rates are multiplied by in the tiers `batch` and `flex`, such as 0.5; None where it is unknown."""
    priority: float | None = None
    """The same for the tier `priority`, such as 2.0."""
    fast: float | None = None
    """The same for the tier, or the speed, `fast`."""
    tiers: tuple[PriceTier, ...] = ()
    """Of those that a request's input exceeds, the highest holds."""


def cost_of(price: Price, usage: Usage) -> float | None:
    """Return what `usage` costs in dollars, None where it is not known.

    It is not known where tokens that have a price were not counted, nor in a dearer tier without its multiplier. In a
    cheaper tier without one the full rates hold, which is the most that it can be.
    """
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    if completion is None:
        if price.output or any(tier.output for tier in price.tiers):
            return None
        completion = 0
    if prompt is None:
        if _charges_input(price):
            return None
        prompt = 0
    factor = _factor(price, usage.tier)
    return None if factor is None else price.per_request + factor * _tokens_cost(price, usage, (prompt, completion))


def ceiling_of(price: Price, input_tokens: int, output_tokens: int) -> float:
    """Return the most dollars that a request of so many tokens costs, if nothing of it comes from a cache.

    Writing to a cache may cost more than input does, and some tiers more than the usual: the dearest of it is taken.
    """
    plain, output, cached, written, hour = _rates_at(price, input_tokens)
    factor = max(1.0, price.priority or 0.0, price.fast or 0.0)
    dearest = max(plain, cached, written, hour)
    return price.per_request + factor * (input_tokens * dearest + output_tokens * output) / _MILLION


def expected_cost(price: Price, input_tokens: float, output_tokens: float) -> float:
    """Return what a request of about so many tokens costs in dollars, where nothing is known of caches and tiers."""
    plain, output, *_ = _rates_at(price, input_tokens)
    return price.per_request + (input_tokens * plain + output_tokens * output) / _MILLION


_Rates = tuple[float, float, float, float, float]
"""Dollars for a million tokens of input, output, cached input, cache writes and those for an hour, each known."""


def _tokens_cost(price: Price, usage: Usage, counts: tuple[int, int]) -> float:
    prompt, completion = counts
    plain, output, cached_rate, write_rate, hour_rate = _rates_at(price, prompt)
    dollars = completion * output
    if cached := usage.cached_tokens:
        dollars += cached * cached_rate
        prompt -= cached
    if written := usage.cache_write_tokens:
        dollars += written * write_rate
        prompt -= written
    if hour := usage.cache_write_1h_tokens:
        dollars += hour * hour_rate
        prompt -= hour
    return (dollars + max(0, prompt) * plain) / _MILLION


def _rates_at(price: Price, input_tokens: float) -> _Rates:
    """Return the rates of the highest tier that an input of so many tokens reaches."""
    tier = _tier_at(price, input_tokens) if price.tiers else None
    if tier is None:
        plain, output, cached, written, hour = _written_rates(price)
    else:
        pairs = zip(_written_rates(tier), _written_rates(price), strict=True)
        plain, output, cached, written, hour = (own if own is not None else open_ for own, open_ in pairs)
    plain = plain or 0.0
    written = plain if written is None else written
    return plain, output or 0.0, plain if cached is None else cached, written, written if hour is None else hour


def _tier_at(price: Price, input_tokens: float) -> PriceTier | None:
    reached = [tier for tier in price.tiers if input_tokens > tier.above]
    return max(reached, key=lambda tier: tier.above) if reached else None


def _written_rates(rates: Price | PriceTier) -> tuple[float | None, ...]:
    return rates.input, rates.output, rates.cached_input, rates.cache_write, rates.cache_write_1h


def _charges_input(price: Price) -> bool:
    rates = (_rates_at(price, above) for above in (0, *(tier.above + 1 for tier in price.tiers)))
    return any(plain or cached or written or hour for plain, _, cached, written, hour in rates)


def _factor(price: Price, tier: str) -> float | None:
    """Return what the rates are multiplied by in a service tier, None where that is not known."""
    match tier:
        case "priority":
            return price.priority
        case "fast":
            return price.fast
        case _ if tier in _REDUCED and price.batch is not None:
            return price.batch
        case _:
            return 1.0
