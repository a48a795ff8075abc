"""A damaged history is set aside, never deleted, and a new one goes on; what nobody knows to be ours is left alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from state.history.migrations import open_history
from state.history.places import beside
from tests.rigs.histories import Recording, attempt, fill, read, recording


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a history will be."""
    return tmp_path / "history.sqlite"


def overwrite(path: Path, start: int, end: int | None = None) -> None:
    """Put nonsense over bytes of a file that stays the same file; leave none where there is nothing to put."""
    with path.open("r+b") as file:
        end = path.stat().st_size if end is None else end
        file.seek(start)
        file.write(b"\xa5" * (end - start))
        if not end:
            file.truncate()


async def quiet(at_work: Recording) -> None:
    """Wait until the recorder is in no transaction."""
    while at_work.recorder._house.under_way:
        await at_work.flush()


async def until_set_aside(at_work: Recording) -> Path:
    """Write until the recorder gives the file up; return where it is then."""
    while at_work.state.aside is None:
        at_work.post(attempt(anyio.current_time()))
        await at_work.flush()
    return at_work.state.aside


def test_a_file_that_is_damaged_at_the_start_is_set_aside_as_it_was(path: Path) -> None:
    """The new one holds every row since, and an alert that says where the old one is."""
    open_history(path).close()
    overwrite(path, 100)
    before = path.read_bytes()

    async def main() -> None:
        async with recording(path) as at_work:
            at_work.post(attempt(1.0))
            assert await at_work.flush()
            aside = at_work.state.aside
            assert aside is not None
            assert aside.name.startswith("history.sqlite.corrupt-")
            assert aside.read_bytes() == before
            assert (at_work.state.ok, at_work.state.cause, at_work.state.lost_rows) == (True, "", 0)
            assert read(path, "SELECT count(*), (SELECT count(*) FROM gap) FROM attempt") == [(1, 0)]
            ((kind, message),) = read(path, "SELECT kind, message FROM alert")
            assert kind == "history_damaged"
            assert aside.name in message

    anyio.run(main)


def test_a_file_that_is_damaged_while_it_is_written_is_set_aside_with_its_log(path: Path) -> None:
    """Rows that went with it are a gap; those that waited are in the new one."""

    async def main() -> None:
        async with recording(path) as at_work:
            at_work.post(attempt(1.0), attempt(2.0))
            assert await at_work.flush()
            await quiet(at_work)
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            overwrite(path, 100)
            await at_work.recorder._file._opened.execute("PRAGMA shrink_memory")
            aside = await until_set_aside(at_work)
            assert at_work.state.ok
            assert aside.stat().st_size > 0
            ((count, cause),) = read(path, "SELECT count, cause FROM gap")
            assert count >= 2
            assert aside.name in cause
            assert read(path, "PRAGMA integrity_check") == [("ok",)]

    anyio.run(main)


def test_a_file_that_is_emptied_while_it_is_written_is_begun_anew(path: Path) -> None:
    """`> history.sqlite` is what a tired person types."""

    async def main() -> None:
        async with recording(path) as at_work:
            at_work.post(attempt(1.0))
            assert await at_work.flush()
            await quiet(at_work)
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            overwrite(path, 0, 0)
            await until_set_aside(at_work)
            assert read(path, "PRAGMA integrity_check") == [("ok",)]

    anyio.run(main)


def page_of(path: Path, index: str) -> int:
    """Return where in the file the root page of an index begins."""
    ((page,),) = read(path, f"SELECT rootpage FROM sqlite_schema WHERE name = '{index}'")  # noqa: S608
    return (page - 1) * 4096


def test_damage_that_a_crash_left_where_nobody_looks_is_found_by_looking(path: Path) -> None:
    """An index of decisions is not touched by an attempt; the file is looked through after an unclean end alone."""

    async def main(*, found: bool) -> None:
        async with recording(path) as at_work:
            at_work.post(attempt(1.0))
            assert await at_work.flush()
            if found:
                await until_set_aside(at_work)
            assert at_work.state.ok

    anyio.run(lambda: main(found=False))
    overwrite(path, page_of(path, "decision_request_id"), page_of(path, "decision_request_id") + 4096)
    anyio.run(lambda: main(found=False))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE run SET ended_ms = NULL")
        connection.commit()
    anyio.run(lambda: main(found=True))
    assert read(path, "SELECT count(*) >= 1 FROM attempt") == [(1,)]


def test_a_disk_that_damages_everything_is_not_filled_with_damaged_files(path: Path) -> None:
    """After three of them the trouble is told, and what is there stays there."""
    open_history(path).close()
    for number in range(3):
        path.with_name(f"history.sqlite.corrupt-2026110{number}T000000Z").write_bytes(b"")
    overwrite(path, 100)

    async def main() -> None:
        async with recording(path) as at_work:
            at_work.post(attempt(1.0))
            assert not await at_work.flush()
            assert "look at its disk" in at_work.state.cause
            for each in beside(path, ".corrupt-*"):
                each.unlink()
            assert await at_work.flush()
            assert read(path, "SELECT count(*) FROM attempt") == [(1,)]

    anyio.run(main)


def test_a_log_of_another_file_is_no_part_of_a_new_one(path: Path) -> None:
    """The file was deleted and its log was not: a new file begins empty and whole."""
    with closing(open_history(path)) as connection:
        fill(connection, (attempt(1.0),))
        path.unlink()
        assert Path(f"{path}-wal").stat().st_size > 0

        async def main() -> None:
            async with recording(path) as at_work:
                at_work.post(attempt(2.0, number=2))
                assert await at_work.flush()

        anyio.run(main)
    assert read(path, "SELECT number FROM attempt") == [(2,)]
    assert read(path, "PRAGMA integrity_check") == [("ok",)]
