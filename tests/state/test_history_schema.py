"""The file itself: what it declares, and which files are refused."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from state.errors import HistoryError
from state.faults import FAULT_RULES, HealthEffect
from state.history.migrations import APPLICATION_ID, SCHEMA_VERSION, open_history
from tests.rigs.histories import read

CONTRACT = {
    "probe": "target kind outcome fault latency_ms cost_usd",
    "request": "request_id workload primary_target served_by attempts outcome degraded first_byte_ms latency_ms "
    "prompt_tokens completion_tokens cost_usd team user",
    "attempt": "request_id number target outcome fault status first_byte_ms latency_ms retry_after_ms",
    "decision": "request_id number chosen strategy reason candidates seed sampled_of setting code",
    "fallback": "request_id workload from_target to_target fault status reason after_ms",
    "transition": "target before after cause until_ms ejections",
    "operation": "verb target by reason until_ms",
    "gap": "from_ms to_ms count cause",
}
VIEWS = {"health_now", "availability_daily", "latency_hourly", "outages", "fallbacks_recent", "slowest_requests"} | {
    *("spend_daily", "savings_daily", "budgets_now", "pending_reviews", "shadow_summary"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a fresh history in a folder that did not exist."""
    path = tmp_path / "a folder" / "what? #1%.sqlite"
    open_history(path).close()
    return path


def test_each_table_of_the_contract_is_strict_and_has_its_columns(path: Path) -> None:
    """A reader may rely on the names, and on what a column holds."""
    strict = {name for name, is_strict in read(path, "SELECT name, strict FROM pragma_table_list") if is_strict}
    for table, columns in CONTRACT.items():
        found = {name for (name,) in read(path, f"SELECT name FROM pragma_table_xinfo('{table}')")}  # noqa: S608
        assert set(columns.split()) | {"at_ms", "at"} <= found
        assert table in strict
    assert {name for (name,) in read(path, "SELECT name FROM sqlite_schema WHERE type = 'view'")} >= VIEWS


def test_each_table_view_and_column_says_in_the_schema_what_it_is(path: Path) -> None:
    """The comments survive in `.schema`: one under the name of each thing, one behind each column."""
    for kind, name, sql in read(path, "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'view')"):
        if name.startswith("sqlite_"):
            continue
        lines = sql.splitlines()
        assert lines[1].strip().startswith("-- "), name
        columns = [line for line in lines if re.match(r"  [a-z_]+ (TEXT|INTEGER|REAL)\b", line)]
        assert kind == "view" or columns
        assert [line for line in columns if " -- " not in line] == []


def test_the_table_of_faults_says_what_the_program_says(path: Path) -> None:
    """A fault counts against a target where the failure was the provider's, the network's or a lack of room."""
    counting = {HealthEffect.EJECTS, HealthEffect.BLOCKS}
    expected = {(fault.value, rule.blame.value, int(rule.health in counting)) for fault, rule in FAULT_RULES.items()}
    assert set(read(path, "SELECT fault, blame, counts FROM fault_kind")) == expected


def test_the_file_says_what_it_is_and_who_may_read_it(path: Path) -> None:
    """Its application and version stand in its header, and its mode is 0640 whatever the umask."""
    assert read(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert read(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert path.stat().st_mode & 0o777 == 0o640


def test_opening_a_history_again_changes_nothing(path: Path) -> None:
    """A migration runs once."""
    before = read(path, "SELECT name, sql FROM sqlite_schema ORDER BY name")
    open_history(path).close()
    assert read(path, "SELECT name, sql FROM sqlite_schema ORDER BY name") == before


def test_an_empty_file_becomes_a_history(tmp_path: Path) -> None:
    """A kill between making the file and its first table leaves one that the next start can use."""
    path = tmp_path / "history.sqlite"
    path.touch()
    open_history(path).close()
    assert read(path, "SELECT count(*) FROM attempt") == [(0,)]


@pytest.mark.parametrize(
    ("making", "words"),
    [
        ("CREATE TABLE theirs (a)", "another application"),
        ("PRAGMA application_id = 7", "another application"),
        (f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION + 1}", "newer fairlead"),
    ],
)
def test_a_file_that_is_not_ours_to_write_is_refused_and_left_untouched(
    tmp_path: Path, making: str, words: str
) -> None:
    """Another application's, or one from the future: its bytes stay as they are."""
    path = tmp_path / "history.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(making)
    before = path.read_bytes()
    with pytest.raises(HistoryError, match=words):
        open_history(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["history.sqlite"]


def test_a_file_that_is_not_sqlite_is_refused_and_left_untouched(tmp_path: Path) -> None:
    """The error says what to do."""
    path = tmp_path / "history.sqlite"
    path.write_text("Dear diary, this is no database. " * 40)
    before = path.read_bytes()
    with pytest.raises(HistoryError, match=r"not an SQLite file; move it away"):
        open_history(path)
    assert path.read_bytes() == before
