"""`fairlead simulate` on the history that a real daemon left."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.rigs.process import LAB, Daemon, running, simulate

STRATEGIES = ("priority", "lowest-latency", "round-robin", "weighted")
CONFIG = LAB.replace('base = "30s"', 'base = "1s"') + "".join(
    f"""
[workloads.{strategy}]
targets = ["one/m", "two/m"]
strategy = "{strategy}"
max_attempts = 1
"""
    for strategy in STRATEGIES
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give a daemon whose first target was away for a while, and which was asked by four strategies at once."""
    with running(tmp_path_factory.mktemp("d"), CONFIG) as one:
        for provider in ("one", "two"):
            simulate(one, provider, "m", latency_ms=20, tokens_per_second=1000)
        _ask_all(one, 5)
        simulate(one, "one", "m", outage="refuse")
        one.chat("one/m")
        _ask_all(one, 8)
        simulate(one, "one", "m", outage="none")
        _ask_all(one, 5)
        yield one


def test_the_configuration_that_was_in_force_changes_nothing(daemon: Daemon) -> None:
    """Every request goes as it was recorded, whatever the strategy draws or measures; with the daemon up or not."""
    asked = _simulated(daemon.config, "--socket", str(daemon.socket))
    total = asked["total"]
    assert next(iter(asked.items())) == ("schema", "fairlead.simulate/1")
    assert total["rests_on"]["recorded"] == total["requests"] == total["compared"] >= 70
    assert total["recorded"] == total["expected"]
    assert total["failures_avoided"] == 0
    assert {first["recorded"] - first["expected"] for first in total["first_target"].values()} == {0}


def test_without_the_target_that_was_away_nothing_fails(daemon: Daemon, tmp_path: Path) -> None:
    """The workload's recorded failures are avoided; those who asked for the target by name still get none."""
    better = tmp_path / "better.toml"
    better.write_text(daemon.config.read_text().replace('["one/m", "two/m"]', '["two/m"]'))
    asked = _simulated(better, "--history", str(daemon.history))
    recorded = [asked["workloads"][strategy]["recorded"]["failures"] for strategy in STRATEGIES]
    assert sum(recorded) > 0
    assert [asked["workloads"][strategy]["failures_avoided"] for strategy in STRATEGIES] == recorded
    assert asked["total"]["rests_on"]["unknown"] == 0
    assert asked["workloads"]["one/m"]["failures_avoided"] == 0
    told = _verb("--config", str(better), "--history", str(daemon.history))
    assert "went as recorded" in told.stdout
    assert "cost in USD" in told.stdout


def test_what_is_wrong_with_the_question_has_its_own_exit_code(daemon: Daemon, tmp_path: Path) -> None:
    """2 for usage, 5 with every problem of the configuration, 1 for nothing to replay."""
    history, config = ("--history", str(daemon.history)), ("--config", str(daemon.config))
    assert _verb(*history).returncode == 2
    assert _verb(*config, *history, "--since", "24").returncode == 2
    bad = tmp_path / "bad.toml"
    bad.write_text(daemon.config.read_text().replace("two/m", "tow/m").replace("max_attempts", "max_atempts"))
    refused = _verb("--config", str(bad), *history)
    assert refused.returncode == 5
    assert len(refused.stderr.splitlines()) >= 2
    assert json.loads(_verb("--config", str(bad), *history, "--json").stdout)["problems"]
    assert _verb(*config, *history, "--since", "1ms").returncode == 1
    assert _verb(*config, "--history", str(tmp_path / "none.sqlite")).returncode == 1
    assert _verb(*config, "--socket", str(tmp_path / "none.sock")).returncode == 3


def _ask_all(daemon: Daemon, times: int) -> None:
    """Ask every workload at once, streams and whole answers in turn."""

    def ask(strategy: str) -> None:
        for turn in range(times):
            daemon.chat(strategy, stream=bool(turn % 2))

    with ThreadPoolExecutor(len(STRATEGIES)) as pool:
        list(pool.map(ask, STRATEGIES))


def _simulated(config: Path, *words: str) -> Any:
    """Return the verb's object."""
    done = _verb("--config", str(config), *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _verb(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "daemon.cli.main", "simulate", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603
