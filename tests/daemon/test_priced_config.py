"""Prices in a configuration: read as they are written, wrong ones told with their line, none made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config.load import load
from state.errors import ConfigError
from state.prices import Price, PriceTier
from state.targets import TargetName

_FILE = """version = 1
[providers.one]
dialect = "openai"
base_url = "https://api.openai.com/v1"
billing = "team-a"
models = ["gpt-5", "gpt-5-mini", "mine"]
[providers.one.prices]
"mine" = { input = 1, output = 2.5, tiers = [{ above = 200000, input = 2 }] }
"gpt-5-mini" = { input = 0, output = 0 }
[workloads.chat]
targets = ["one/mine", "one/gpt-5"]
"""


def _written(folder: Path, text: str) -> Path:
    path = folder / "fairlead.toml"
    path.write_text(text)
    return path


def test_every_place_knows_its_price(tmp_path: Path) -> None:
    """Law: the configured one, also where that is nothing; else the list's; and who pays."""
    places = load((_written(tmp_path, _FILE),), {}).routes.places
    prices = [places[TargetName(f"one/{model}")].price for model in ("mine", "gpt-5-mini", "gpt-5")]
    assert prices[0] == Price(input=1, output=2.5, tiers=(PriceTier(above=200_000, input=2),))
    assert prices[1] == Price(input=0, output=0)
    assert prices[2] is not None
    assert prices[2].input == 1.25
    assert {place.billing for place in places.values()} == {"team-a"}
    assert places[TargetName("one/gpt-5")].abilities.context_window == 400_000


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("{ input = -1, output = 2 }", "8: input is -1; give dollars for a million tokens, 0 or more"),
        ("{ input = 1, output = nan }", "8: output is nan; give dollars"),
        ("{ input = 1, output = inf }", "8: output is inf; give dollars"),
        ("{ input = 1 }", "8: [providers.one.prices.mine] lacks the key output"),
        ("{ input = 1, output = 2, outputs = 2 }", "8: unknown key outputs, did you mean output?"),
        ('{ input = "1", output = 2 }', "8: input: Expected `float`, got `str`"),
        ("{ input = 1, output = 2, tiers = [{ above = -5 }] }", "8: above is -5; give a number of tokens"),
        (
            "{ input = 1, output = 2, tiers = [{ above = 5 }, { above = 5 }] }",
            "8: two tiers begin above the same number of tokens; leave one",
        ),
    ],
)
def test_a_wrong_price_is_told_with_its_line(tmp_path: Path, wrong: str, told: str) -> None:
    """Law: a slip in a price is no price of 0."""
    lines = _FILE.replace("{ input = 1, output = 2.5, tiers = [{ above = 200000, input = 2 }] }", wrong)
    with pytest.raises(ConfigError) as caught:
        load((_written(tmp_path, lines),), {})
    (problem,) = caught.value.problems
    assert told in problem


def test_a_price_of_no_model_is_told(tmp_path: Path) -> None:
    """Law: what is priced under a name with a slip in it would be unknown."""
    with pytest.raises(ConfigError) as caught:
        load((_written(tmp_path, _FILE.replace('"gpt-5-mini" = {', '"gpt-5-mimi" = {')),), {})
    assert "9: prices names 'gpt-5-mimi', which is none of its models, did you mean gpt-5-mini?" in str(caught.value)


@pytest.mark.parametrize(
    ("most", "told"),
    [("input = nan", "12: input is nan; give dollars"), ("input = 3, output = -3", "12: output is -3; give dollars")],
)
def test_a_max_price_that_no_price_could_be_held_against_is_told(tmp_path: Path, most: str, told: str) -> None:
    """Law: nothing is more than NaN, so that it would let everything through."""
    with pytest.raises(ConfigError) as caught:
        load((_written(tmp_path, _FILE + f"max_price = {{ {most} }}\n"),), {})
    assert told in str(caught.value)
