"""Looking models up in the price lists that come with the program."""

from __future__ import annotations

from datetime import date
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from probes.policy import Abilities, Dialect, Provider
from probes.pricing import renew
from probes.pricing.catalogue import Listed, lookup
from state.prices import Price, PriceTier
from tests.rigs.product import ROOT

_OPENAI = "https://api.openai.com/v1"
_SNAPSHOT = (ROOT / "probes/pricing/prices.json").read_text(encoding="utf-8")
_GPT_5 = Price(input=1.25, output=10, cached_input=0.125, batch=0.5, priority=2, fast=2)


def _provider(**more: Any) -> Provider:
    return Provider(**{"name": "p", "dialect": Dialect.OPENAI, "base_url": _OPENAI, "models": ("gpt-5",), **more})


def test_a_model_is_found_by_its_url_and_name() -> None:
    """Law: with its price, its window, whose list it is and of which day."""
    listed = lookup(_OPENAI, "gpt-5")
    assert listed == Listed(price=_GPT_5, context_window=400_000, provider="openai", as_of=_day())
    assert lookup(_OPENAI, "GPT-5-2025-08-07") == lookup(_OPENAI, "gpt-5-20250807") == listed


def _day() -> str:
    day = msgspec.json.decode(_SNAPSHOT)["as_of"]
    assert date.fromisoformat(day)
    return str(day)


@pytest.mark.parametrize(
    ("url", "model", "provider", "window"),
    [
        ("https://api.anthropic.com", "claude-sonnet-5", "anthropic", 1_000_000),
        ("https://openrouter.ai/api/v1", "anthropic/claude-sonnet-5", "openrouter", 1_000_000),
        ("https://me.openai.azure.com/openai", "gpt-5", "azure", 400_000),
        ("https://api.groq.com/openai/v1", "llama-3.1-8b-instant", "groq", None),
        ("https://api.x.ai/v1", "grok-4", "x-ai", 256_000),
    ],
)
def test_every_seller_has_its_list(url: str, model: str, provider: str, window: int | None) -> None:
    """Law: the same model may have another price elsewhere, and a seller may sell another's at its price."""
    listed = lookup(url, model)
    assert listed is not None
    assert (listed.provider, listed.context_window, listed.price is not None) == (provider, window, True)


@pytest.mark.parametrize(
    ("url", "model"),
    [
        (_OPENAI, "gpt-none"),
        ("http://127.0.0.1:11434/v1", "gpt-5"),
        ("unix:///run/llama.sock", "gpt-5"),
        ("https://llm.example.org/v1", "gpt-5"),
        ("", "gpt-5"),
    ],
)
def test_what_no_list_has_is_unknown(url: str, model: str) -> None:
    """Law: a server nearby and one that nobody knows have no price by the name of their model."""
    assert lookup(url, model) is None
    assert _provider(base_url=url).price_of(model) is None
    assert _provider(base_url=url).abilities_of(model) == Abilities()


def test_the_configuration_comes_before_the_lists() -> None:
    """Law: by the model's name, else by `*`, for its price as for its window; what it leaves open is looked up."""
    own, others = Price(input=1, output=2), Price(input=3, output=4)
    assert _provider(prices=(("gpt-5", own), ("*", others))).price_of("gpt-5") == own
    assert _provider(prices=(("*", others),)).price_of("gpt-5") == others
    assert _provider(prices=(("gpt-4o", own),)).price_of("gpt-5") == _GPT_5
    small = Abilities(context_window=9)
    assert _provider(abilities=(("gpt-5", small),)).abilities_of("gpt-5") == small
    lacking = _provider(abilities=(("*", Abilities(lacks=("audio",))),))
    assert lacking.abilities_of("gpt-5") == Abilities(context_window=400_000, lacks=("audio",))


def test_a_request_far_below_a_known_window_is_not_read_for_its_needs() -> None:
    """Law: only what could come near it is; what a model lacks has to be looked for in every request."""
    window = Abilities(context_window=10_000)
    assert [window.takes_all_of(size) for size in (1_000, 1_001)] == [True, False]
    assert not Abilities(lacks=("audio",)).takes_all_of(1)
    assert Abilities().takes_all_of(10**9)


def test_the_snapshot_is_what_the_package_says() -> None:
    """Law: `make prices` on the version that the snapshot names gives it again, byte for byte."""
    data: Any = pytest.importorskip("genai_prices.data")
    if msgspec.json.decode(_SNAPSHOT)["source"] != f"genai-prices {version('genai-prices')}":
        pytest.skip("another version is installed")
    assert renew.snapshot_text(data.providers, date.fromisoformat(_day())) == _SNAPSHOT


def _rate(base: float, *tiers: tuple[int, float]) -> object:
    steps = [SimpleNamespace(start=start, price=price) for start, price in tiers]
    return SimpleNamespace(base=base, tiers=steps) if steps else base


def _list(**rates: object) -> SimpleNamespace:
    units = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok")
    return SimpleNamespace(**{**dict.fromkeys((*units, "requests_kcount")), **rates})


def _since(day: date) -> SimpleNamespace:
    return SimpleNamespace(active=lambda at: at.date() >= day)


def test_tiers_of_each_rate_become_tiers_of_the_price() -> None:
    """Law: at each bound all rates stand as they are there."""
    rates = _list(input_mtok=_rate(1, (5, 2), (9, 3)), output_mtok=_rate(4, (9, 8)), cache_read_mtok=0.5)
    price, window = renew._model(_model(rates), date(2026, 1, 1))
    assert msgspec.convert(price, Price) == Price(
        input=1,
        output=4,
        cached_input=0.5,
        tiers=(
            PriceTier(above=5, input=2, output=4, cached_input=0.5),
            PriceTier(above=9, input=3, output=8, cached_input=0.5),
        ),
    )
    assert window == 7


def _model(prices: object, *variants: object) -> SimpleNamespace:
    return SimpleNamespace(prices=prices, context_window=7, price_variants=variants)


def test_the_newest_price_that_holds_is_taken_and_of_those_by_the_hour_the_dearest() -> None:
    """Law: an announced price does not hold yet; what the hour is nobody knows when a cost is reckoned."""
    old, new, later = (_list(input_mtok=each, output_mtok=1.0) for each in (1.0, 2.0, 9.0))
    night = SimpleNamespace(start_time="0:30", end_time="16:30")
    dated = [
        SimpleNamespace(constraint=None, prices=old),
        SimpleNamespace(constraint=_since(date(2026, 1, 1)), prices=new),
        SimpleNamespace(constraint=_since(date(2027, 1, 1)), prices=later),
    ]
    hourly = [*dated[:1], SimpleNamespace(constraint=night, prices=later)]
    assert [_input(renew._model(_model(each), date(2026, 6, 1))[0]) for each in (dated, hourly)] == [2, 9]


def _input(price: dict[str, Any] | None) -> float | None:
    return None if price is None else price["input"]


def test_a_multiplier_is_kept_only_where_it_is_the_same_for_every_rate() -> None:
    """Law: a tier that halves output alone has no multiplier; a model without a price for its input has no price."""
    plain = _list(input_mtok=2.0, output_mtok=8.0)
    half = SimpleNamespace(when={"processing": "batch"}, constraint=None, prices=_list(input_mtok=1.0, output_mtok=4.0))
    uneven = SimpleNamespace(when={"service_tier": "priority"}, constraint=None, prices=_list(output_mtok=16.0))
    price, _ = renew._model(_model(plain, half, uneven), date(2026, 1, 1))
    assert price == {"input": 2, "output": 8, "batch": 0.5}
    assert renew._model(_model(_list(output_mtok=1.0)), date(2026, 1, 1)) == (None, 7)
