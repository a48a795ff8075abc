"""Read-only SQL: what it allows, what it refuses, and how it says why."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import anyio
import pytest

from state.errors import HistoryError
from state.history.inspection import QueryLimits, query
from state.history.migrations import open_history
from tests.rigs.histories import attempt, fill, recording
from tests.rigs.openly import opened

ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Return a history of ten attempts, as a daemon that runs has it open."""
    path = tmp_path / "history.sqlite"
    with closing(open_history(path)) as connection:
        fill(connection, tuple(attempt(1_750_000_000.0 + n, number=n + 1) for n in range(10)))
        yield path


def test_a_query_returns_its_columns_and_rows(path: Path) -> None:
    """In the order that it asks for."""
    table = query(path, "SELECT number AS n, target FROM attempt ORDER BY n LIMIT 2")
    assert table == (("n", "target"), ((1, "lab/steady"), (2, "lab/steady")), False)


def test_rows_beyond_the_limit_are_cut_off_and_that_is_said(path: Path) -> None:
    """Exactly the limit is no cut."""
    sql = "SELECT id FROM attempt"
    assert query(path, sql, limits=QueryLimits(rows=3))[1:] == (((1,), (2,), (3,)), True)
    assert not query(path, sql, limits=QueryLimits(rows=10)).truncated
    large = query(path, "SELECT zeroblob(1000) FROM attempt", limits=QueryLimits(size=4500))
    assert (len(large.rows), large.truncated) == (4, True)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM health_now",
        "SELECT * FROM availability_daily",
        "SELECT * FROM latency_hourly",
        "SELECT * FROM outages",
        "SELECT * FROM fallbacks_recent",
        "SELECT * FROM slowest_requests",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "EXPLAIN QUERY PLAN SELECT * FROM attempt",
        "SELECT name, sql FROM sqlite_schema",
        "SELECT * FROM pragma_table_info('attempt')",
        "PRAGMA table_list",
        "PRAGMA user_version",
        "VALUES (1), (2)",
        "SELECT value ->> 'target' FROM decision, json_each(candidates)",
        "",
    ],
)
def test_whatever_only_reads_is_allowed(path: Path, sql: str) -> None:
    """The views, the schema, and the pragmas that ask."""
    query(path, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM attempt",
        "UPDATE attempt SET number = 2",
        "INSERT INTO gap (at_ms, from_ms, to_ms, count, cause) VALUES (1, 1, 1, 1, '')",
        "DROP TABLE attempt",
        "CREATE TABLE mine (a)",
        "CREATE TEMP TABLE mine (a)",
        "ATTACH 'other.sqlite' AS other",
        "VACUUM INTO 'copy.sqlite'",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA user_version = 7",
        "PRAGMA writable_schema = 1",
        "PRAGMA wal_checkpoint",
        "BEGIN IMMEDIATE",
        "SELECT load_extension('evil')",
        "EXPLAIN DELETE FROM attempt",
        "WITH a AS (SELECT 1) DELETE FROM attempt",
    ],
)
def test_whatever_changes_anything_is_refused(path: Path, sql: str) -> None:
    """Nothing in the file, and no other file, is touched."""
    before = sorted(path.parent.iterdir())
    with pytest.raises(HistoryError, match="only one statement that reads is allowed"):
        query(path, sql)
    assert sorted(path.parent.iterdir()) == before
    assert query(path, "SELECT count(*) FROM attempt").rows == ((10,),)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEKT 1", 'near "SELEKT": syntax error'),
        ("SELECT * FROM atempt", r"no such table: atempt; sqlite_schema lists"),
        ("SELECT colour FROM attempt", "no such column: colour"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        ("SELECT zeroblob(100000000)", "longer than 250000 bytes"),
        ("SELECT ?", "supplied"),
        ("SELECT '\0'", "null character"),
        ("DELETE FROM sqlite_master", "may not be modified"),
        ("UPDATE sqlite_master SET sql = ''", "may not be modified"),
    ],
)
def test_a_wrong_query_is_told_what_is_wrong_with_it(path: Path, sql: str, words: str) -> None:
    """In SQLite's words, which name the place."""
    with pytest.raises(HistoryError, match=words):
        query(path, sql)


def test_a_query_that_takes_too_long_is_ended(path: Path) -> None:
    """It says how long it was given."""
    with pytest.raises(HistoryError, match=r"took over 0\.05 s"):
        query(path, ENDLESS, limits=QueryLimits(seconds=0.05))


def test_what_cannot_be_opened_is_told_in_plain_words(tmp_path: Path) -> None:
    """Missing, a folder, no database, damaged: each with what to do."""
    (tmp_path / "diary").write_text("Dear diary, this is no database. " * 40)
    open_history(tmp_path / "damaged").close()
    whole = (tmp_path / "damaged").read_bytes()
    (tmp_path / "damaged").write_bytes(whole[:100] + b"\xa5" * (len(whole) - 100))
    told = {"missing": "there is no history at", "": "is a folder", "diary": "not an SQLite file", "damaged": "damaged"}
    for name, words in told.items():
        with pytest.raises(HistoryError, match=words):
            query(tmp_path / name, "SELECT 1")
    with pytest.raises(HistoryError, match="there is no history at"):
        query(tmp_path / "diary" / "history.sqlite", "SELECT 1")


NOBODY = 65534
OTHERS_PYTHON = Path("/usr/bin/python3")
"""An interpreter that any user may run; the one of a virtual environment may lie where only its owner can go."""
THEIRS = """
import sqlite3, sys
try:
    print(sqlite3.connect(sys.argv[1], uri=True).execute("SELECT count(*) FROM attempt").fetchone()[0])
except sqlite3.Error as error:
    print(error)
"""
KILLED = """
import os, sys
from pathlib import Path
from state.history.migrations import open_history
connection = open_history(Path(sys.argv[1]))
connection.execute("DELETE FROM attempt")
os.kill(os.getpid(), 9)
"""


def read_by_another(path: Path) -> str:
    """Return how many attempts another user finds, who is in the group of the file."""
    command = [OTHERS_PYTHON, "-c", THEIRS, f"{path.as_uri()}?mode=ro"]
    done = subprocess.run(  # noqa: S603
        command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Return a history whose group is another user's, in a folder that this user may enter and not write."""
    path = tmp_path / "state" / "history.sqlite"
    open_history(path).close()
    for theirs in (path, path.parent):
        os.chown(theirs, 0, NOBODY)
    opened(path.parent.parent)
    return path


@pytest.mark.skipif(os.geteuid() != 0 or not OTHERS_PYTHON.exists(), reason="only root can become another user")
def test_another_user_reads_while_the_daemon_runs_and_after_it_stopped_and_was_killed(shared: Path) -> None:
    """A member of the file's group, who may not write the folder, finds every row each time."""

    async def main() -> None:
        async with recording(shared) as at_work:
            at_work.post(attempt(1.0))
            assert await at_work.flush()
            assert read_by_another(shared) == "1"
        assert read_by_another(shared) == "1"

    anyio.run(main)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", KILLED, str(shared)], check=False, env=environment)  # noqa: S603
    assert Path(f"{shared}-wal").exists()
    assert read_by_another(shared) == "0"


def test_reading_needs_neither_anyio_nor_msgspec() -> None:
    """The command line starts fast."""
    code = "import sys, state.history.inspection; sys.exit(bool({'anyio', 'msgspec', 'aiosqlite'} & set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0  # noqa: S603


def test_a_reader_never_leaves_a_lock_behind(path: Path) -> None:
    """What it opened, it closes, also after an error."""
    for sql in ("SELECT 1", "SELEKT 1", "SELECT * FROM attempt"):
        with suppress(HistoryError):
            query(path, sql, limits=QueryLimits(rows=1))
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            other.execute("ROLLBACK")
