"""A restart forgets nothing, also after `kill -9`."""

from __future__ import annotations

from pathlib import Path

from state.history.inspection import QueryLimits, query
from tests.rigs.process import LAB, running, simulate


def test_standings_cooldowns_and_drains_survive_kill_9(tmp_path: Path) -> None:
    """Law: the next start has the standings that the last one had, and says so."""
    with running(tmp_path, LAB) as daemon:
        simulate(daemon, "one", "m", outage="refuse")
        for _ in range(4):
            daemon.chat("chat")
        drained = daemon.ask("POST", "/fairlead/v1/targets/two/m/drain", {"reason": "a test"})
        assert drained.status == 200
        before = daemon.target("one/m")
        assert before["standing"] == "cooling"
        _until_saved(daemon.history)
        daemon.kill()
        daemon.start()
        after = daemon.target("one/m")
        assert after["standing"] == "cooling"
        assert 0 < after["cooldown_s"] <= before["cooldown_s"]
        assert after["cause"] == before["cause"]
        assert daemon.target("two/m")["drained"]
        assert daemon.target("two/m")["drain_reason"] == "a test"
        assert daemon.target("two/m")["samples"] > 0
        assert "history_recalled" in daemon.log.read_text()


def _until_saved(history: Path) -> None:
    """Wait for the recorder's next batch: the drain was the last thing that happened."""
    while not query(history, "SELECT 1 FROM operation WHERE verb = 'drain'", limits=QueryLimits()).rows:
        pass
