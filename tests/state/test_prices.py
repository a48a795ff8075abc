"""What tokens cost: every kind at its rate, in its tier, and nothing made up."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.outcome import Usage
from state.prices import Price, PriceTier, ceiling_of, cost_of

_LIST = Price(input=2, output=10, cached_input=0.2, cache_write=2.5, cache_write_1h=4, batch=0.5)
_TIERED = Price(
    input=1.25,
    output=10,
    cached_input=0.125,
    tiers=(PriceTier(above=1_000_000, input=9), PriceTier(above=200_000, input=2.5, output=15)),
)
_RATES = st.floats(0, 1000)
_MAYBE = st.none() | _RATES
_COUNTS = st.integers(0, 10**7)


def _prices() -> st.SearchStrategy[Price]:
    rates = {"cached_input": _MAYBE, "cache_write": _MAYBE, "cache_write_1h": _MAYBE}
    tiers = st.builds(PriceTier, above=_COUNTS, input=_MAYBE, output=_MAYBE, **rates)
    factors = {name: st.none() | st.floats(0, 1) for name in ("batch",)}
    factors |= {name: st.none() | st.floats(1, 3) for name in ("priority", "fast")}
    return st.builds(
        Price,
        input=_RATES,
        output=_RATES,
        per_request=_RATES,
        tiers=st.lists(tiers, max_size=3).map(tuple),
        **rates,
        **factors,
    )


@pytest.mark.parametrize(
    ("usage", "dollars_per_million"),
    [
        (Usage(1000, 100), 2000 + 1000),
        (Usage(1000, 100, 400), 600 * 2 + 400 * 0.2 + 1000),
        (Usage(1000, 100, 400, 100, 50), 450 * 2 + 400 * 0.2 + 100 * 2.5 + 50 * 4 + 1000),
        (Usage(1000, 100, 400, tier="batch"), (600 * 2 + 400 * 0.2 + 1000) / 2),
        (Usage(1000, 100, tier="standard"), 3000),
        (Usage(0, 0), 0),
        (Usage(10, 0, 40), 40 * 0.2),
    ],
)
def test_every_kind_of_token_has_its_rate(usage: Usage, dollars_per_million: float) -> None:
    """Law: parts of the input at theirs, the rest at the plain one; a part that is more than the whole leaves none."""
    assert cost_of(_LIST, usage) == pytest.approx(dollars_per_million / 1e6, rel=1e-12, abs=0)


@pytest.mark.parametrize(("prompt", "rate", "output"), [(200_000, 1.25, 10), (200_001, 2.5, 15), (1_000_001, 9, 10)])
def test_a_tier_holds_for_the_whole_request(prompt: int, rate: float, output: float) -> None:
    """Law: beyond its bound, for all tokens, in whatever order tiers are written; open rates are the list's."""
    assert cost_of(_TIERED, Usage(prompt, 1000)) == pytest.approx((prompt * rate + 1000 * output) / 1e6, rel=1e-12)
    assert cost_of(_TIERED, Usage(prompt, 0, prompt)) == pytest.approx(prompt * 0.125 / 1e6, rel=1e-12)


def test_what_was_not_counted_costs_nobody_knows_what() -> None:
    """Law: unknown, never 0, unless those tokens are free."""
    assert cost_of(_LIST, Usage()) is None
    assert cost_of(_LIST, Usage(5)) is None
    assert cost_of(_LIST, Usage(None, 5)) is None
    assert cost_of(Price(input=1, output=0), Usage(5)) == 5e-6
    assert cost_of(Price(input=0, output=1), Usage(None, 5)) == 5e-6
    assert cost_of(Price(input=0, output=0), Usage()) == 0.0
    assert cost_of(Price(input=0, output=0, per_request=0.01), Usage()) == 0.01


@pytest.mark.parametrize("tier", ["priority", "fast"])
def test_a_dearer_tier_without_its_multiplier_is_unknown(tier: str) -> None:
    """Law: no cost is told that is too low; with the multiplier it is told."""
    assert cost_of(_LIST, Usage(1000, 0, tier=tier)) is None
    assert cost_of(msgspec.structs.replace(_LIST, **{tier: 2.0}), Usage(1000, 0, tier=tier)) == pytest.approx(0.004)


def test_missing_rates_are_those_of_the_input() -> None:
    """Law: a cache without a price of its own costs what input does, an hour in it what minutes do."""
    plain = Price(input=3, output=0)
    assert cost_of(plain, Usage(100, 0, 50, 20, 10)) == pytest.approx(300 / 1e6)
    assert cost_of(msgspec.structs.replace(plain, cache_write=4), Usage(100, 0, 0, 20, 10)) == pytest.approx(330 / 1e6)


@given(_prices(), _COUNTS, _COUNTS, st.lists(_COUNTS, min_size=3, max_size=3), st.sampled_from(["", "batch", "fast"]))
def test_no_request_costs_more_than_its_ceiling(
    price: Price, prompt: int, completion: int, parts: list[int], tier: str
) -> None:
    """Law: whatever came from a cache or went into one."""
    cached, written, hour = (part * prompt // max(1, sum(parts)) for part in parts)
    cost = cost_of(price, Usage(prompt, completion, cached, written, hour, tier))
    ceiling = ceiling_of(price, prompt, completion)
    assert cost is None or (0 <= cost <= ceiling * (1 + 1e-9) and math.isfinite(cost))


def test_a_price_is_written_as_a_table() -> None:
    """Law: what a configuration says is read as it stands, and a slip of the key is an error."""
    table = {"input": 2, "output": 10, "tiers": [{"above": 5, "input": 4}]}
    assert msgspec.convert(table, Price) == Price(input=2, output=10, tiers=(PriceTier(above=5, input=4),))
    with pytest.raises(msgspec.ValidationError, match="outptu"):
        msgspec.convert({"input": 2, "outptu": 10}, Price)
