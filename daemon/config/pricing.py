"""What prices in a configuration must fulfil: they are amounts of money, and of models that there are."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from daemon.config.locate import KeyPath
from daemon.config.reading import Problems, nearest
from daemon.config.settings import ProviderSettings
from daemon.routing.policy import MaxPrice
from state.prices import Price, PriceTier

__all__ = ["check_max_price", "check_prices"]


def check_prices(path: KeyPath, provider: ProviderSettings, problems: Problems) -> None:
    """Note what is wrong with the prices of the provider at `path`."""
    for model, price in provider.prices.items():
        place = (*path, "prices", model)
        if model != "*" and model not in provider.models:
            problems.add(place, f"prices names {model!r}, which is none of its models{nearest(model, provider.models)}")
        for name, amount in _amounts(price):
            if not (math.isfinite(amount) and amount >= 0):
                text = f"{name} is {amount:g}; give dollars for a million tokens, 0 or more"
                problems.add(place, text if name != "above" else f"above is {amount:g}; give a number of tokens")
        starts = [tier.above for tier in price.tiers]
        if len(set(starts)) < len(starts):
            problems.add(place, "two tiers begin above the same number of tokens; leave one")


def check_max_price(path: KeyPath, most: MaxPrice, problems: Problems) -> None:
    """Note amounts that no price could be held against."""
    for key in ("input", "output"):
        amount = getattr(most, key)
        if not amount >= 0:
            text = f"{key} is {amount:g}; give dollars for a million tokens, 0 or more"
            problems.add((*path, "max_price", key), text)


def _amounts(price: Price | PriceTier) -> Iterator[tuple[str, float]]:
    for field in msgspec.structs.fields(price):
        value = getattr(price, field.name)
        if isinstance(value, tuple):
            for tier in value:
                yield from _amounts(tier)
        elif value is not None:
            yield field.name, value
