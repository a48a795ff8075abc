"""What a target asks for its work, and what an answer cost by it. Pure."""

from __future__ import annotations

import msgspec

from state.outcome import Usage

__all__ = ["Price", "ceiling_of", "cost_of"]

_MILLION = 1e6


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price list for one model, in dollars per million tokens."""

    input: float
    output: float
    cached_input: float | None = None


def cost_of(price: Price, usage: Usage) -> float | None:
    """Return what `usage` costs in dollars, None where what is counted does not say."""
    if usage.prompt_tokens is None:
        return None
    cached = usage.cached_tokens or 0
    cached_rate = price.input if price.cached_input is None else price.cached_input
    paid = (usage.prompt_tokens - cached) * price.input + cached * cached_rate
    return (paid + (usage.completion_tokens or 0) * price.output) / _MILLION


def ceiling_of(price: Price, input_tokens: float, output_tokens: float) -> float:
    """Return what so many tokens cost in dollars, without any discount."""
    return (input_tokens * price.input + output_tokens * price.output) / _MILLION
