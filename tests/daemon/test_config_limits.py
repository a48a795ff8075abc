"""Limits and budgets as a configuration gives them: each mistake with its line, and a budget that nobody could keep."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config.configuration import Configuration
from daemon.config.load import load
from daemon.limits.policy import Period
from state.errors import ConfigError

_BASE = """version = 1
[providers.one]
dialect = "openai"
base_url = "http://127.0.0.1:9/v1"
models = ["m", "n"]
[workloads.w]
targets = ["one/m"]
"""


def _load(folder: Path, text: str) -> Configuration:
    file = folder / "f.toml"
    file.write_text(_BASE + text)
    return load((file,), {})


def test_limits_are_read_with_their_budgets(tmp_path: Path) -> None:
    """Law: what is written is what holds, and what is not is no limit."""
    loaded = _load(tmp_path, '[limits.day]\nper = "team"\nusd_per_day = 5.0\n[budgets]\ntimezone = "Europe/Berlin"\n')
    (limit,) = loaded.limits.by_name.values()
    assert (limit.budgets, limit.binds, limit.concurrent) == (((Period.DAY, 5.0),), True, None)
    assert loaded.limits.budgets.timezone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[limits.x]\nusd_per_day = -1.0\n", 9, "at least 0"),
        ("[limits.x]\nusd_per_day = nan\n", 9, "give dollars"),
        ("[limits.x]\nrequests_per_minute = -2\n", 9, "0 lets nobody through"),
        ('[limits.x]\nper = "tema"\nconcurrent = 1\n', 9, "did you mean team?"),
        ('[limits.x]\nworkloads = ["v"]\nconcurrent = 1\n', 9, "no workload is called v"),
        ('[limits.x]\nper = "user"\n', 8, "limits nothing"),
        ('[budgets]\ntimezone = "Europe/Brelin"\n', 9, "is not known here"),
        ("[budgets]\nassume_output_tokens = 0\n", 9, "at least 1"),
    ],
)
def test_each_mistake_of_a_limit_has_its_line_and_its_words(tmp_path: Path, text: str, line: int, words: str) -> None:
    """Law: who mistypes a limit is told before anybody is refused, or let through, by it."""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text)
    assert any(f"f.toml:{line}: " in problem and words in problem for problem in caught.value.problems)


def test_a_hard_budget_over_targets_of_unknown_price_is_warned_of(tmp_path: Path) -> None:
    """Law: what a budget is bound to refuse is told when it is written, not when a client is refused."""
    priced = "[providers.one.prices]\nm = { input = 1, output = 2 }\n[limits.day]\nusd_per_day = 1.0\n"
    assert any("no price is known of n: limits.day" in warning for warning in _load(tmp_path, priced).warnings)
    assert not _load(tmp_path, priced + 'enforce = "soft"\n').warnings
