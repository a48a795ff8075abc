"""Writing the snapshot of price lists anew from the package genai-prices: `make prices`.

The package is a dependency of development alone. Of what it knows, the snapshot keeps the rates of text by the token:
no audio, pages or searches, which no `usage` that fairlead reads counts.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

__all__ = ["snapshot_text"]

_FILE: Final = Path(__file__).with_name("prices.json")
_RATES: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
}
_RULES: Final = {"starts_with": "starts", "ends_with": "ends", "contains": "has"}
_FACTORS: Final = {
    "batch": ({"service_tier": "flex"}, {"processing": "batch"}),
    "priority": ({"service_tier": "priority"},),
    "fast": ({"service_tier": "fast"}, {"speed": "fast"}),
}
"""For each multiplier of a price, the variants of the list that it may be taken from, the likeliest first."""
_ROUNDING: Final = 0.005


def snapshot_text(providers: list[Any], as_of: date) -> str:
    """Return the snapshot of `providers`, which are genai-prices' own, as of a day: one line for each model."""
    head = f'{{"as_of":"{as_of.isoformat()}","source":"genai-prices {version("genai-prices")}","providers":[\n'
    return head + ",\n".join(_provider(provider, as_of) for provider in providers) + "\n]}\n"


def _provider(provider: Any, as_of: date) -> str:
    models = ",\n".join(_json([_rule(model.match), *_model(model, as_of)]) for model in provider.models)
    also = f',"also":{_json(provider.fallback_model_providers)}' if provider.fallback_model_providers else ""
    return f'{{"id":{_json(provider.id)},"url":{_json(provider.api_pattern)}{also},"models":[\n{models}\n]}}'


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _rule(clause: Any) -> Any:
    """Return a matching rule as the catalogue reads it. Names are compared in lower case."""
    for attribute, kind in (("or_", "any"), ("and_", "all")):
        if (parts := getattr(clause, attribute, None)) is not None:
            return [kind, *map(_rule, parts)]
    for attribute, kind in _RULES.items():
        if (text := getattr(clause, attribute, None)) is not None:
            return [kind, text.lower()]
    if (pattern := getattr(clause, "regex", None)) is not None:
        re.compile(pattern)
        return ["like", pattern]
    return clause.equals.lower()


def _model(model: Any, as_of: date) -> tuple[dict[str, Any] | None, int | None]:
    standard = max(_standing(model, as_of), key=_dearness)
    if standard.input_mtok is None:
        return None, model.context_window
    price = _rates(standard, None)
    price.setdefault("output", 0)
    if standard.requests_kcount is not None:
        price["per_request"] = _base(standard.requests_kcount) / 1000
    price |= _factors(model, standard, as_of)
    if tiers := [{"above": start} | _rates(standard, start) for start in _starts(standard)]:
        price["tiers"] = tiers
    return price, model.context_window


def _standing(model: Any, as_of: date) -> Iterator[Any]:
    """Yield the newest price that holds on a day; more than one where it goes by the hour."""
    if not isinstance(model.prices, list):
        yield model.prices
        return
    newest = model.prices[0].prices
    for conditional in model.prices:
        constraint = conditional.constraint
        if hasattr(constraint, "start_time"):
            yield conditional.prices
        elif constraint is None or _is_active(constraint, as_of):
            newest = conditional.prices
    yield newest


def _is_active(constraint: Any, as_of: date) -> bool:
    return bool(constraint.active(datetime.combine(as_of, time(12), UTC)))


def _dearness(price: Any) -> float:
    return sum(_base(rate) for rate in (price.input_mtok, price.output_mtok) if rate is not None)


def _base(rate: Any) -> float:
    return float(getattr(rate, "base", rate))


def _starts(price: Any) -> list[int]:
    rates = [getattr(price, unit) for unit in _RATES.values()]
    return sorted({tier.start for rate in rates for tier in getattr(rate, "tiers", ())})


def _rates(price: Any, start: int | None) -> dict[str, Any]:
    """Return the rates of a price, those of its tier from `start` on where one is given."""
    rates = {name: getattr(price, unit) for name, unit in _RATES.items()}
    return {name: _number(_at(rate, start)) for name, rate in rates.items() if rate is not None}


def _at(rate: Any, start: int | None) -> float:
    reached = [tier.price for tier in getattr(rate, "tiers", ()) if start is not None and tier.start <= start]
    return float(reached[-1]) if reached else _base(rate)


def _number(rate: float) -> float | int:
    return int(rate) if rate.is_integer() else rate


def _factors(model: Any, standard: Any, as_of: date) -> dict[str, float | int]:
    """Return the multipliers of the service tiers, without those that are not the same for input and output."""
    known: dict[str, float | int] = {}
    for name, wanted in _FACTORS.items():
        for variant in model.price_variants or ():
            holds = variant.constraint is None or _is_active(variant.constraint, as_of)
            if name not in known and holds and variant.when in wanted:
                ratios = list(_ratios(variant.prices, standard))
                if ratios and max(ratios) - min(ratios) <= _ROUNDING * max(ratios):
                    known[name] = _number(round(ratios[0], 4))
    return known


def _ratios(variant: Any, standard: Any) -> Iterator[float]:
    for unit in _RATES.values():
        special, plain = getattr(variant, unit), getattr(standard, unit)
        if plain is not None and _base(plain) > 0.0:
            yield 1.0 if special is None else _base(special) / _base(plain)


def _main() -> None:
    from genai_prices.data import providers  # noqa: PLC0415  # 18 MB that nothing else needs

    _FILE.write_text(snapshot_text(providers, date.fromisoformat(sys.argv[1])), encoding="utf-8")


if __name__ == "__main__":
    _main()
