"""`fairlead config show`: what is in force, who set it, and nothing that is secret."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.cli.main import main
from daemon.config.effective import DEFAULT, Value
from daemon.config.load import read_settings
from daemon.config.writing import toml_lines, toml_value
from state.durations import parse_duration, spell_duration
from state.sizes import parse_size, spell_size
from tests.rigs.product import ROOT

_FILE = """version = 1
[daemon]
drain_grace = "90s"
[health]
fall = 4
[providers.lab]
dialect = "simulated"
models = ["m"]
[providers.lab.health]
rise = 2
[workloads.chat]
targets = ["lab/m"]
"""
_CANARY = "sk-canary-0123456789"


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let no configuration of this machine and no variable play a part."""
    for name in (
        "FAIRLEAD_CONFIG",
        "FAIRLEAD_LOG_FORMAT",
        "FAIRLEAD_SOCKET",
        "FAIRLEAD_LISTEN",
        "FAIRLEAD_HISTORY",
        "STATE_DIRECTORY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


def _shown(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, tuple[Any, str]]:
    assert main(["config", "show", "--json", *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "fairlead.config/1"
    return {".".join(each["path"]): (each["value"], each["origin"]) for each in told["values"]}


def _file(folder: Path, text: str) -> Path:
    file = folder / "f.toml"
    file.write_text(text)
    return file


def test_each_value_says_who_set_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: a default, or the line of the file; a provider's health is set where the common one is."""
    file = _file(tmp_path, _FILE)
    shown = _shown(capsys, "--config", str(file))
    assert shown["daemon.drain_grace"] == ("1m30s", f"{file}:3")
    assert shown["daemon.max_body"] == ("16MiB", DEFAULT)
    assert shown["providers.lab.health.fall"] == (4, f"{file}:5")
    assert shown["providers.lab.health.rise"] == (2, f"{file}:10")
    assert shown["health.rise"] == (1, DEFAULT)
    assert shown["workloads.chat.deadline"] == (None, DEFAULT)


def test_an_option_goes_before_the_environment_and_that_before_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: what is shown is what `serve` would do with the same options and environment."""
    words = ("--config", str(_file(tmp_path, _FILE)))
    assert _shown(capsys, *words)["daemon.listen"] == (["127.0.0.1:4180"], DEFAULT)
    monkeypatch.setenv("FAIRLEAD_LISTEN", "127.0.0.1:1")
    assert _shown(capsys, *words)["daemon.listen"] == (["127.0.0.1:1"], "environment: FAIRLEAD_LISTEN")
    assert _shown(capsys, *words, "--listen", "none")["daemon.listen"] == ([], "command line")
    assert _shown(capsys, *words)["daemon.log_format"] == ("auto", DEFAULT)
    monkeypatch.setenv("FAIRLEAD_LOG_FORMAT", "json")
    assert _shown(capsys, *words)["daemon.log_format"] == ("json", "environment: FAIRLEAD_LOG_FORMAT")


def test_a_secret_is_not_shown_and_a_reference_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: whoever pastes the output into a ticket gives no key away; no reference needs to be resolved for it."""
    keyed = '[providers.{0}]\ndialect = "openai"\nbase_url = "https://{0}.test/v1"\nmodels = ["x"]\napi_key = "{1}"\n'
    webhook = f'[alerts]\nwebhook = "https://hook.test/{_CANARY}"\n'
    text = _FILE + keyed.format("a", _CANARY) + keyed.format("b", "${env:NOBODY_SET_THIS}") + webhook
    file = str(_file(tmp_path, text))
    for option in ("--json", "--origin"):
        assert main(["config", "show", "--config", file, option]) == 0
        printed = capsys.readouterr().out
        assert _CANARY not in printed
        assert "${env:NOBODY_SET_THIS}" in printed
        assert "(not shown)" in printed


def test_what_is_shown_can_be_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: the example, which has every key, is the same configuration after a round trip, digests of keys apart."""
    example = ROOT / "fairlead.example.toml"
    assert main(["config", "show", "--origin", "--config", str(example)]) == 0
    digests = re.findall(r"^sha256.*", example.read_text(), re.MULTILINE)
    shown = capsys.readouterr().out
    assert shown.count("# sha256 = (not shown)") == len(digests)
    again = _file(tmp_path, re.sub(r"^# sha256.*", lambda _: digests.pop(0), shown, flags=re.MULTILINE))
    assert read_settings((again,))[1] == read_settings((example,))[1]


def test_without_a_file_it_shows_what_the_environment_offers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: a provider that was found by its key is shown with the variable, not with the key."""
    monkeypatch.setattr("daemon.config.places._SYSTEM_CONFIG", Path("/nonexistent"))
    monkeypatch.setenv("OPENAI_API_KEY", _CANARY)
    shown = _shown(capsys)
    assert shown["providers.openai.api_key"] == ("${env:OPENAI_API_KEY}", "environment")
    assert shown["providers.openai.timeouts.total"] == ("10m", DEFAULT)
    assert _CANARY not in str(shown)


def test_an_invalid_configuration_ends_with_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: nothing is shown of what would not be put in force."""
    assert main(["config", "show", "--config", str(_file(tmp_path, "version = 2\n"))]) == 5
    assert "version must be 1" in capsys.readouterr().err


_SCALARS = st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False)


@given(st.recursive(_SCALARS, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3)))
def test_every_value_survives_being_written(value: Any) -> None:
    """Law: TOML that is written here is read back as the same value, whatever is in a text."""
    assert tomllib.loads(f"key = {toml_value(value)}")["key"] == value


@given(st.dictionaries(st.text(), _SCALARS, max_size=4))
def test_every_name_survives_being_written(table: dict[str, Any]) -> None:
    """Law: the name of a table or a model may be any text."""
    values = [Value(("providers", "a.b", "prices", name), value, "here") for name, value in table.items()]
    written = tomllib.loads("\n".join(line for line, _ in toml_lines(values)))
    assert written == ({"providers": {"a.b": {"prices": table}}} if table else {})


@given(st.floats(0, 36_525 * 86_400))
def test_every_duration_survives_being_written(seconds: float) -> None:
    """Law: what a configuration may say is spelled as exactly that."""
    assert parse_duration(spell_duration(seconds)) == seconds


@given(st.integers(0, 2**62))
def test_every_size_survives_being_written(size: int) -> None:
    """Law: the same for sizes."""
    assert parse_size(spell_size(size)) == size


def test_durations_and_sizes_are_spelled_as_people_do() -> None:
    """Law: the largest units that fit."""
    assert [spell_duration(each) for each in (0, 0.25, 30, 5400, 604800)] == ["0s", "250ms", "30s", "1h30m", "7d"]
    assert [spell_size(each) for each in (0, 1000, 2**24)] == ["0B", "1000B", "16MiB"]
