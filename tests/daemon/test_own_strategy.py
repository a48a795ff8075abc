"""A strategy that another package brings, as docs/strategies.md shows it, from its entry point to a choice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.routing.leases import RouteQuery
from daemon.routing.selection import Load, choose
from daemon.routing.strategies.known import strategy_names
from probes.surfaces import Surface
from state.errors import ConfigError
from state.standing import HealthSnapshot, Standing, TargetHealth
from tests.rigs.product import ROOT

_CONFIG = """version = 1
[providers.one]
dialect = "simulated"
models = ["a", "b"]
[workloads.chat]
targets = ["one/a", "one/b"]
strategy = "night-shift"
"""


def _installed(folder: Path) -> None:
    """Write the package of the document, as an installer would leave it behind."""
    text = (ROOT / "docs/strategies.md").read_text(encoding="utf-8")
    module = re.search(r"```python\n(# acme_strategies.py\n.*?)```", text, re.DOTALL)
    points = re.search(r'\[project.entry-points."(.*?)"\]\n(\S+) = "(.*?)"', text)
    assert module is not None
    assert points is not None
    (folder / "acme_strategies.py").write_text(module[1])
    info = folder / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{points[1]}]\n{points[2]} = {points[3]}\n")


def test_the_documents_own_strategy_is_found_checked_and_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: installed beside fairlead it is a strategy like any other; without it the configuration says so."""
    file = tmp_path / "fairlead.toml"
    file.write_text(_CONFIG)
    with pytest.raises(ConfigError, match="no strategy night-shift"):
        load((file,), {})
    _installed(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert "night-shift" in strategy_names()
    configuration = load((file,), {})
    workload = configuration.workloads["chat"]
    healths = {each: TargetHealth(target=each, standing=Standing.HEALTHY) for each in workload.targets}
    query = RouteQuery(request_id="r", workload=workload, surface=Surface.CHAT)
    chosen = [
        (choice.chosen, choice.reason)
        for now in (1000.0, 44_000.0)
        for choice in [choose(query, configuration.routes, HealthSnapshot(targets=healths), Load({}, {}), now)]
    ]
    assert chosen == [("one/a", "the day shift"), ("one/b", "the night shift")]
