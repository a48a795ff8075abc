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
    rates = _rates_at(price, input_tokens)
    dearest = max(rates.input, rates.cached_input, rates.cache_write, rates.cache_write_1h)
    factor = max(1.0, price.priority or 0.0, price.fast or 0.0)
    return price.per_request + factor * (input_tokens * dearest + output_tokens * rates.output) / _MILLION


def expected_cost(price: Price, input_tokens: float, output_tokens: float) -> float:
    """Return what a request of about so many tokens costs in dollars, where nothing is known of caches and tiers."""
    rates = _rates_at(price, input_tokens)
    return price.per_request + (input_tokens * rates.input + output_tokens * rates.output) / _MILLION


class _Rates(msgspec.Struct, frozen=True):
    """Dollars for a million tokens, each known."""

    input: float
    output: float
    cached_input: float
    cache_write: float
    cache_write_1h: float


def _tokens_cost(price: Price, usage: Usage, counts: tuple[int, int]) -> float:
    prompt, completion = counts
    rates = _rates_at(price, prompt)
    cached, written, written_1h = (
        usage.cached_tokens or 0,
        usage.cache_write_tokens or 0,
        usage.cache_write_1h_tokens or 0,
    )
    dollars_per_million = (
        max(0, prompt - cached - written - written_1h) * rates.input
        + completion * rates.output
        + cached * rates.cached_input
        + written * rates.cache_write
        + written_1h * rates.cache_write_1h
    )
    return dollars_per_million / _MILLION


def _rates_at(price: Price, input_tokens: float) -> _Rates:
    """Return the rates of the highest tier that an input of so many tokens reaches."""
    held: Price | PriceTier = price
    for tier in sorted(price.tiers, key=lambda each: each.above):
        if input_tokens > tier.above:
            held = tier
    plain = price.input if held.input is None else held.input
    written = _first(held.cache_write, price.cache_write, plain)
    return _Rates(
        input=plain,
        output=_first(held.output, price.output),
        cached_input=_first(held.cached_input, price.cached_input, plain),
        cache_write=written,
        cache_write_1h=_first(held.cache_write_1h, price.cache_write_1h, written),
    )


def _first(*rates: float | None) -> float:
    return next((rate for rate in rates if rate is not None), 0.0)


def _charges_input(price: Price) -> bool:
    rates = (_rates_at(price, above) for above in (0, *(tier.above + 1 for tier in price.tiers)))
    return any(rate.input or rate.cached_input or rate.cache_write or rate.cache_write_1h for rate in rates)


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
