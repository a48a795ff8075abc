"""What was spent and saved, as `fairlead costs` tells it."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.main import main
from state.faults import Fault
from state.history.charges import Charged
from state.history.migrations import open_history
from state.history.rows import AttemptRow, RequestRow
from state.outcome import Outcome, Usage
from state.policy import HistoryPolicy
from state.targets import TargetName
from tests.rigs.histories import fill, perform_chores
from tests.rigs.process import LAB, running

CHEAP, DEAR, LOCAL = TargetName("a/cheap"), TargetName("a/dear"), TargetName("local/qwen3")
TOKENS = Usage(100, 10)


def attempt(at: float, target: TargetName, usd: float | None, charged: Charged, **changes: Any) -> AttemptRow:
    """Return an attempt with its cost."""
    outcome = Outcome(latency_s=0.1, **{"usage": TOKENS} | changes)
    return AttemptRow(at=at, request_id="r", number=1, target=target, outcome=outcome, charged=charged, cost_usd=usd)


def request(at: float, usd: float | None, best_usd: float | None, charged: Charged) -> RequestRow:
    """Return a request with its cost, and what it would have cost at the costliest target."""
    return RequestRow(
        at=at,
        request_id="r",
        workload=charged.workload,
        primary_target=None,
        served_by=CHEAP,
        attempts=1,
        outcome="ok",
        status=200,
        latency_s=0.1,
        usage=TOKENS,
        cost_usd=usd,
        best_usd=best_usd,
        team=charged.team or None,
        purpose=charged.purpose,
    )


@pytest.fixture(params=["raw", "rolled up"])
def history(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a history: two teams, one workload each, a copy, a question of fairlead's own, two unknown prices."""
    path, now = tmp_path / "history.sqlite", time.time() - 3600
    search, sales = Charged("chat", "search", "ada"), Charged("mail", "sales", "bob")
    with closing(open_history(path)) as connection:
        fill(connection, (*(_answered(now, 0.25, 1.0, search)), *_answered(now, 0.5, 1.0, search)))
        fill(connection, (*_answered(now, 0.125, 0.25, sales), attempt(now, DEAR, 0.0, sales, fault=Fault.TIMEOUT)))
        fill(connection, (attempt(now, LOCAL, None, sales), attempt(now, LOCAL, None, sales)))
        fill(connection, (attempt(now, DEAR, 1.0, Charged("chat", "search", "ada", "shadow")),))
        fill(connection, (attempt(now, CHEAP, 0.0625, Charged("judge", "search", "ada", "classify")),))
        fill(connection, _answered(now - 9 * 86400, 8.0, 9.0, search))
        if request.param == "rolled up":
            perform_chores(connection, HistoryPolicy(), now + 3600)
    return path


def _answered(at: float, usd: float, best_usd: float, charged: Charged) -> tuple[Any, ...]:
    return attempt(at, CHEAP, usd, charged), request_of(at, usd, best_usd, charged)


request_of = request


def told(capsys: pytest.CaptureFixture[str], history: Path, *words: str) -> Any:
    """Return the verb's object."""
    assert main(["costs", "--json", "--history", str(history), *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_costs_are_summed_by_whom_they_are_asked_for(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The costliest first; what was saved stands where it can be told apart, and in the total in any case."""
    said = told(capsys, history, "--by", "team")
    assert (next(iter(said.items())), said["by"]) == (("schema", "fairlead.costs/1"), "team")
    keys = ("team", "attempts", "usd", "unpriced", "requests_compared", "saved_usd", "saved_percent")
    assert [tuple(row[key] for key in keys) for row in said["rows"]] == [
        ("search", 4, 1.8125, 0, 2, 1.25, 62.5),
        ("sales", 4, 0.125, 2, 1, 0.125, 50.0),
    ]
    total = {"attempts": 8, "prompt_tokens": 800, "completion_tokens": 80, "usd": 1.9375, "unpriced": 2}
    saved = {
        "requests_compared": 3,
        "compared_usd": 0.875,
        "best_usd": 2.25,
        "saved_usd": 1.375,
        "saved_percent": 61.11,
    }
    assert said["total"] == total | saved
    for by, names in (("user", ["ada", "bob"]), ("target", ["a/dear", "a/cheap", "local/qwen3"])):
        rows = told(capsys, history, "--by", by)["rows"]
        assert [row[by] for row in rows] == names
        assert {row["saved_usd"] for row in rows} == {None}
    assert [row["workload"] for row in told(capsys, history)["rows"]] == ["chat", "mail", "judge"]


def test_copies_and_own_questions_are_spent_and_shown_apart(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are part of the bill, and no part of what is saved."""
    said = told(capsys, history)
    assert {name: account["usd"] for name, account in said["purposes"].items()} == {
        "classify": 0.0625,
        "client": 0.875,
        "shadow": 1.0,
    }
    assert main(["costs", "--history", str(history)]) == 0
    table = capsys.readouterr().out
    assert "of it for copies that were only compared (shadow): $1.000000 in 1 attempt" in table
    assert "of it for fairlead's own questions (classify): $0.062500 in 1 attempt" in table
    assert "saved $1.375000 against the costliest target of each workload, over 3 requests" in table


def test_an_unknown_price_is_said_to_be_unknown(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no 0, and whoever reads it is told which key is missing."""
    said = told(capsys, history, "--by", "target")
    assert said["unpriced"] == {"local/qwen3": 2}
    assert said["rows"][-1] | {"target": "local/qwen3", "usd": None, "unpriced": 2} == said["rows"][-1]
    assert main(["costs", "--history", str(history), "--by", "target"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[-1] == "2 attempts at local/qwen3 have no known price: set providers.local.prices"
    assert [line.split() for line in table if line.startswith("local/qwen3")] == [
        ["local/qwen3", "2", "200", "20", "-", "2", "-", "-"]
    ]
    (total,) = (line.split() for line in table if line.startswith("total"))
    assert total == ["total", "8", "800", "80", "1.937500", "2", "1.375000", "61.11"]


def test_the_time_is_said_and_kept_to(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Older costs are left out, days come newest first, and a time without attempts cost nothing."""
    days = told(capsys, history, "--by", "day", "--since", "30d")["rows"]
    assert [row["usd"] for row in days if row["usd"] == 8.0] == [8.0]
    assert [row["day"] for row in days] == sorted((row["day"] for row in days), reverse=True)
    nothing = told(capsys, history, "--since", "1m")
    assert (nothing["rows"], nothing["total"]["usd"], nothing["total"]["attempts"]) == ([], 0.0, 0)
    assert main(["costs", "--history", str(history), "--since", "1m"]) == 0
    assert capsys.readouterr().out.startswith("no attempt since 20")


@pytest.mark.parametrize(("words", "code"), [(["--since", "7"], 2), (["--since", "1000000000000d"], 2)])
def test_what_makes_no_sense_is_a_usage_error(history: Path, words: list[str], code: int) -> None:
    """A number without a unit, a time before all times."""
    assert main(["costs", "--history", str(history), *words]) == code


def test_what_cannot_be_read_is_said_in_plain_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file, a file from before costs were known, no daemon."""
    old = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("CREATE TABLE attempt (id)")
    for verb in ("costs", "review"):
        assert main([verb, "--history", str(tmp_path / "none.sqlite")]) == 1
        assert main([verb, "--history", str(old)]) == 1
        assert "start the daemon once" in capsys.readouterr().err
        assert main([verb, "--socket", str(tmp_path / "none.sock")]) == 3


def test_a_daemon_is_asked_where_only_its_socket_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What has just happened is in it; a simulated target has no price, and says so."""
    with running(tmp_path, LAB) as daemon:
        daemon.chat("chat")
        words = ["costs", "--socket", str(daemon.socket)]
        assert main([*words, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert [(row["workload"], row["attempts"]) for row in said["rows"]] == [("chat", 1)]
        assert main(words) == 0
        assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["WORKLOAD", "ATTEMPTS"]
