"""`fairlead history check|backup|prune|export`: with a daemon and without one, with exit codes that tell the truth."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.main import main
from state.history.migrations import open_history
from state.history.rows import DecisionRow
from state.history.tables import SampledDecision
from tests.rigs.histories import attempt, every_row, fill, read
from tests.rigs.process import LAB, Daemon, running

WITH_ARROW = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow, the extra `parquet`, is not installed")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give a daemon that has served three requests."""
    with running(tmp_path_factory.mktemp("d"), LAB) as one:
        for _ in range(3):
            assert one.chat("chat").status == 200
        yield one


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a history of a few rows of each kind that nobody writes."""
    path = tmp_path / "history.sqlite"
    with closing(open_history(path)) as connection:
        rows = every_row(1_750_000_000.0)[:-5]
        fill(connection, tuple(SampledDecision(row, 1) if isinstance(row, DecisionRow) else row for row in rows))
        fill(connection, tuple(attempt(1_750_000_000.0 + n, number=n + 1) for n in range(12_000)))
        connection.execute("PRAGMA journal_mode = DELETE")
    return path


def ran(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Return how `fairlead history` ends and what it prints."""
    capsys.readouterr()
    code = main(["history", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def object_of(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    """Return how it ends, and the versioned object that it prints."""
    code, out, _ = ran(capsys, *words, "--json")
    told: dict[str, Any] = json.loads(out)
    assert next(iter(told.items())) == ("schema", f"fairlead.history-{words[0]}/1")
    return code, told


def test_check_tells_of_a_running_daemons_file_that_it_is_fine(
    daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each thing that was looked at has a line, each table its rows."""
    daemon.ask("POST", "/fairlead/v1/sql", {"query": "SELECT 1"})
    code, told = object_of(capsys, "check", "--full", "--socket", str(daemon.socket))
    assert (code, told["ok"], told["path"]) == (0, True, str(daemon.history))
    findings = {finding["name"]: finding["detail"] for finding in told["findings"]}
    assert findings["integrity_check"] == "ok"
    assert findings["mode"].startswith("0640")
    assert "writes it" in findings["last_clean_end"]
    rows = {table["name"]: table for table in told["tables"]}
    assert (rows["request"]["rows"], rows["request"]["bytes"] > 0) == (3, True)
    assert rows["request"]["first_ms"] <= rows["request"]["last_ms"]
    code, text, _ = ran(capsys, "check", "--history", str(daemon.history))
    assert (code, text.splitlines()[0]) == (0, f"{daemon.history}: fine")


def cut_short(path: Path) -> None:
    """Take the file's end away."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def overwritten(path: Path) -> None:
    """Put nonsense over the end of the file."""
    whole = path.read_bytes()
    path.write_bytes(whole[:-40_000] + b"\xa5" * 40_000)


def with_a_strangers_table(path: Path) -> None:
    """Let somebody have made a table and dropped a view."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE mine (a); DROP VIEW outages")


def closed_to_its_group(path: Path) -> None:
    """Let only its owner read it."""
    path.chmod(0o600)


def beside_a_damaged_one(path: Path) -> None:
    """Let a damaged one lie beside it."""
    path.with_name("history.sqlite.corrupt-20261128T143000Z").write_bytes(b"")


def of_the_future(path: Path) -> None:
    """Let a newer version have written it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")


@pytest.mark.parametrize(
    ("spoil", "name", "words"),
    [
        (cut_short, "opens", "is damaged"),
        (overwritten, "quick_check", "docs/history.md"),
        (with_a_strangers_table, "things", "not fairlead's: table mine; missing: view outages"),
        (closed_to_its_group, "mode", "may not read it"),
        (beside_a_damaged_one, "set_aside", "corrupt-20261128T143000Z"),
        (of_the_future, "schema", "newer fairlead"),
    ],
)
def test_check_ends_with_1_and_says_what_is_wrong(
    file: Path, capsys: pytest.CaptureFixture[str], spoil: Any, name: str, words: str
) -> None:
    """Whatever else there is to say of it."""
    spoil(file)
    code, told = object_of(capsys, "check", "--history", str(file))
    assert (code, told["ok"]) == (1, False)
    assert [words in finding["detail"] for finding in told["findings"] if finding["name"] == name] == [True]


def test_check_of_no_history_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do."""
    (tmp_path / "diary").write_text("Dear diary, this is no database. " * 40)
    assert ran(capsys, "check", "--history", str(tmp_path / "none"))[0] == 1
    code, text, _ = ran(capsys, "check", "--history", str(tmp_path / "diary"))
    assert (code, "not an SQLite file" in text) == (1, True)


def test_backup_copies_a_running_daemons_file(
    daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole, of one moment, one plain file; what is there already is replaced only by force."""
    copy = tmp_path / "copy.sqlite"
    daemon.ask("POST", "/fairlead/v1/sql", {"query": "SELECT 1"})
    code, told = object_of(capsys, "backup", str(copy), "--socket", str(daemon.socket))
    assert (code, told["copy"], told["bytes"]) == (0, str(copy), copy.stat().st_size)
    assert read(copy, "SELECT count(*) FROM request") == [(3,)]
    assert list(tmp_path.iterdir()) == [copy]
    words = ("backup", str(copy), "--history", str(daemon.history))
    assert ran(capsys, *words)[0] == 1
    assert ran(capsys, *words, "--force")[0] == 0
    assert ran(capsys, "check", "--history", str(copy))[0] == 0
    assert ran(capsys, "backup", str(tmp_path), "--history", str(daemon.history))[0] == 2
    assert ran(capsys, "backup", str(tmp_path / "no" / "where"), "--history", str(daemon.history))[0] == 1
    assert ran(capsys, "backup", str(daemon.history), "--force", "--history", str(daemon.history))[0] == 2


def test_prune_asks_the_daemon_that_writes_the_file(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """It alone writes; the operation has a row. Nothing within the hour goes."""
    code, told = object_of(capsys, "prune", "--older-than", "1h", "--vacuum", "--socket", str(daemon.socket))
    assert (code, told["rows"], told["unused_bytes"]) == (0, 0, 0)
    answer = daemon.ask("POST", "/fairlead/v1/sql", {"query": "SELECT verb, reason FROM operation"}).json()
    assert answer["rows"] == [["prune", "rows older than 3600 s"]]
    assert ran(capsys, "prune", "--older-than", "1s", "--socket", str(daemon.socket))[0] == 2
    assert daemon.ask("POST", "/fairlead/v1/history/prune", {"older_than_s": 1}).status == 400


def test_prune_without_a_daemon_opens_the_file(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And leaves it to nobody who has it open."""
    words = ("prune", "--history", str(file), "--socket", str(tmp_path / "none"))
    with closing(open_history(file)) as connection:
        fill(connection, (attempt(1.0),))
        code, _, told = ran(capsys, *words)
        assert (code, "open in another program" in told) == (1, True)
    code, text, _ = ran(capsys, *words, "--vacuum")
    assert (code, "rows deleted" in text) == (0, True)
    assert read(file, "SELECT count(*) FROM attempt") == [(0,)]
    assert ran(capsys, "prune", "--older-than", "soon")[0] == 2


def test_export_writes_every_row_of_a_table(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order in which they were written; the format is that of the file's name."""
    out = tmp_path / "attempts.csv"
    assert ran(capsys, "export", "attempt", "--output", str(out), "--history", str(file))[0] == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [int(row["id"]) for row in rows] == list(range(1, 12_002))
    assert rows[0]["target"] == "lab/flaky"
    code, text, _ = ran(capsys, "export", "attempt", "--format", "jsonl", "--history", str(file))
    lines = [json.loads(line) for line in text.splitlines()]
    assert (code, len(lines), lines[0]["fault"], lines[1]["fault"]) == (0, 12_001, "rate_limited", None)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["attempts.csv", "history.sqlite"]


def test_export_takes_views_queries_and_bytes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What has no id is read in one go; bytes are base64 where a format has none."""
    assert ran(capsys, "export", "latency_bucket", "--history", str(file))[1].count("\n") == 852
    assert ran(capsys, "export", "availability_daily", "--history", str(file))[1].startswith("day,")
    code, text, _ = ran(capsys, "export", "--query", "SELECT setting FROM decision", "--history", str(file))
    assert (code, text) == (0, f"setting\n{b64encode(b'all that was known').decode()}\n")


def test_export_since_takes_the_younger_rows(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the table's own time; a table without one, and a query, say so."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE attempt SET at_ms = CAST(strftime('%s', 'now') AS INTEGER) * 1000 WHERE id > 12000")
        connection.commit()
    assert ran(capsys, "export", "attempt", "--since", "1h", "--history", str(file))[1].count("\n") == 2
    assert ran(capsys, "export", "latency_bucket", "--since", "1h", "--history", str(file))[0] == 1
    assert ran(capsys, "export", "--query", "SELECT 1", "--since", "1h", "--history", str(file))[0] == 2
    assert ran(capsys, "export", "attempt", "--since", "soon", "--history", str(file))[0] == 2


def test_export_goes_through_the_daemon_in_pieces(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """A table is read a page after another; a query that finds more than the daemon answers is no half success."""
    code, text, _ = ran(capsys, "export", "request", "--format", "jsonl", "--socket", str(daemon.socket))
    assert (code, text.count('"workload": "chat"')) == (0, 3)
    sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001) SELECT i FROM n"
    code, _, told = ran(capsys, "export", "--query", sql, "--socket", str(daemon.socket))
    assert (code, "first 1000 rows" in told) == (1, True)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("nonsense",), 1),
        (("--query", "DELETE FROM attempt"), 1),
        (("--query", "SELEKT"), 1),
        (("attempt", "--format", "parquet"), 2),
    ],
)
def test_an_export_that_fails_leaves_nothing_behind(
    file: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int
) -> None:
    """Neither a file nor half of one."""
    output = () if "parquet" in words else ("--output", str(file.with_name("out.csv")))
    ended = ran(capsys, "export", *words, *output, "--history", str(file))[0]
    assert (ended, list(file.parent.iterdir())) == (code, [file])


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_parquet_without_its_extra_says_what_to_install(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is read."""
    code, _, told = ran(
        capsys, "export", "attempt", "--output", str(file.with_name("a.parquet")), "--history", str(file)
    )
    assert (code, "fairlead[parquet]" in told) == (1, True)


@WITH_ARROW
def test_parquet_has_the_types_of_the_schema(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the first rows hold: a column of nothing is of its declared type."""
    from pyarrow import parquet  # noqa: PLC0415 - it may be missing

    out = file.with_name("a.parquet")
    assert ran(capsys, "export", "attempt", "--output", str(out), "--history", str(file))[0] == 0
    table = parquet.read_table(out)
    assert table.num_rows == 12_001
    kinds = {field.name: str(field.type) for field in table.schema}
    assert (kinds["id"], kinds["first_byte_ms"], kinds["user"]) == ("int64", "double", "string")
    assert ran(capsys, "export", "decision", "--output", str(out), "--history", str(file))[0] == 0
    assert parquet.read_table(out).column("setting").to_pylist() == [b"all that was known"]
    assert ran(capsys, "export", "gap", "--output", str(out), "--history", str(file))[0] == 0
    assert parquet.read_table(out).num_rows == 0


def test_a_pipe_is_no_history_to_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: nobody waits for ever for what nobody writes."""
    os.mkfifo(tmp_path / "pipe")
    code, _, told = ran(capsys, "check", "--history", str(tmp_path / "pipe"))
    assert (code, "is a pipe" in told) == (1, True)
