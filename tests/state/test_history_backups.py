"""A copy of the history from before its schema changes, and copies of one that is being written."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from importlib import resources
from pathlib import Path

import anyio
import pytest

from state.errors import HistoryError
from state.history import backups
from state.history.backups import copy_history
from state.history.inspection import open_for_reading
from state.history.migrations import APPLICATION_ID, SCHEMA_VERSION, Opening, open_history
from state.history.places import beside
from state.policy import HistoryPolicy
from tests.rigs.histories import attempt, fill, read, recording

STAMP = "20261128T143000Z"


@pytest.fixture
def third(tmp_path: Path) -> Path:
    """Return a file of version 3."""
    return old(tmp_path / "history.sqlite", 3)


def old(path: Path, version: int) -> Path:
    """Make a file as an earlier version left it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for step in ("schema.sql", "step2.sql", "step3.sql")[:version]:
            connection.executescript(resources.files("state.history").joinpath(step).read_text())
        connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};")
    return path


def test_before_its_schema_changes_a_history_is_copied_beside_itself(third: Path) -> None:
    """The copy is of the old version, whole, one plain file, and its group may read it; the log says so."""
    told: list[tuple[str, dict[str, str]]] = []
    opening = Opening(STAMP, tell=lambda event, **details: told.append((event, details)))
    open_history(third, opening).close()
    copy = third.with_name(f"history.sqlite.v3-{STAMP}.bak")
    assert read(copy, "PRAGMA user_version") == [(3,)]
    assert read(third, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert read(copy, "PRAGMA integrity_check") == [("ok",)]
    assert read(copy, "PRAGMA journal_mode") == [("delete",)]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o640
    assert told == [
        ("history_backed_up", {"copy": str(copy), "schema": f"3 to {SCHEMA_VERSION}", "deleted": ""}),
    ]
    assert beside(third, ".v*") == [copy]


def test_nothing_is_copied_where_nothing_changes(tmp_path: Path) -> None:
    """Neither a new file nor one of this version has anything to go back to."""
    path = tmp_path / "history.sqlite"
    open_history(path, Opening(STAMP)).close()
    open_history(path, Opening(STAMP)).close()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("keep", "left"), [(0, ["3", "2", "1"]), (1, ["4"]), (2, ["4", "3"]), (9, ["4", "3", "2", "1"])]
)
def test_the_newest_copies_stay(third: Path, keep: int, left: list[str]) -> None:
    """By when they were made, whatever their version; 0 makes none, and deletes none either."""
    for number, version in (("3", 1), ("2", 2), ("1", 2)):
        third.with_name(f"history.sqlite.v{version}-2025010{number}T000000Z.bak").write_bytes(b"")
    third.with_name("history.sqlite.v1-20250101T000000Z.bak.part").write_bytes(b"left by a kill")
    open_history(third, Opening("20250104T000000Z", keep)).close()
    stamps = sorted((copy.name.rpartition("-")[2] for copy in beside(third, ".v*-*.bak")), reverse=True)
    assert [stamp.removeprefix("2025010")[0] for stamp in stamps] == left


def test_without_a_copy_the_schema_stays(third: Path) -> None:
    """There would be no way back: the trouble is told with what to do, and nothing has changed."""
    before = read(third, "SELECT name, sql FROM sqlite_schema")
    third.with_name(f"history.sqlite.v3-{STAMP}.bak.part{os.getpid()}").mkdir()
    with pytest.raises(HistoryError, match=r"stays at schema 3, .*keep_backups = 0"):
        open_history(third, Opening(STAMP))
    assert read(third, "PRAGMA user_version") == [(3,)]
    assert read(third, "SELECT name, sql FROM sqlite_schema") == before
    open_history(third, Opening(STAMP, keep_backups=0)).close()
    assert read(third, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


def test_without_room_for_a_copy_the_schema_stays(third: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is not filled to find that out."""
    monkeypatch.setattr(backups, "_SPARE", 1e12)
    with pytest.raises(HistoryError, match=r"needs .* MB are free; make room"):
        open_history(third, Opening(STAMP))
    assert list(third.parent.iterdir()) == [third]
    assert read(third, "PRAGMA user_version") == [(3,)]


def test_a_recorder_without_a_copy_goes_on_without_the_file_and_heals(third: Path) -> None:
    """Rows wait until there is room, and are written then."""
    blocks = third.with_name("history.sqlite.v3-20250615T150640Z.bak")
    blocks.mkdir()

    async def main() -> None:
        async with recording(third, HistoryPolicy(keep_backups=1), clock=lambda: 1_750_000_000.0) as at_work:
            at_work.post(attempt(1.0))
            assert not await at_work.flush()
            assert "stays at schema 3" in at_work.state.cause
            blocks.rmdir()
            assert await at_work.flush()
            assert at_work.state.ok

    anyio.run(main)
    assert blocks.is_file()
    assert read(third, "SELECT count(*) FROM attempt") == [(1,)]


def test_a_copy_is_of_one_moment_while_rows_are_written(tmp_path: Path) -> None:
    """A row that comes while it is made is not in it, keeps nobody waiting, and does not make it begin anew."""
    path, copy = tmp_path / "history.sqlite", tmp_path / "copy.sqlite"
    with closing(open_history(path)) as writer, closing(open_for_reading(path)) as reader:
        for block in range(4):
            fill(
                writer, tuple(attempt(float(n), request_id="r" * 500) for n in range(block * 1000, block * 1000 + 1000))
            )
        seen = []

        class Watched:
            """A reader that lets a row be written between two pieces."""

            def execute(self, sql: str) -> sqlite3.Cursor:
                """Pass it on."""
                return reader.execute(sql)

            def backup(self, target: sqlite3.Connection, *, pages: int) -> None:
                """Copy as it is asked to, in smaller pieces."""

                def between(_status: int, left: int, _total: int) -> None:
                    seen.append(left)
                    fill(writer, (attempt(0.0, number=2),))

                reader.backup(target, pages=min(pages, 100), progress=between)

        copy_history(Watched(), copy)  # type: ignore[arg-type]
        assert len(seen) > 3
        assert seen == sorted(seen, reverse=True)
    assert read(copy, "SELECT count(*), max(number) FROM attempt") == [(4000, 1)]
    assert read(path, "SELECT count(*) FROM attempt") == [(4000 + len(seen),)]
    assert read(copy, "PRAGMA integrity_check") == [("ok",)]
