"""A sick history: routing goes on, a bounded number of rows waits, and the gap is written down once it is well."""

from __future__ import annotations

import resource
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio
import pytest

from state.history.migrations import APPLICATION_ID, Opening, open_history
from state.history.recorder import UNSAVED_LIMIT
from state.history.tables import Inserts, inserts_of
from state.history.writing import HistoryFile
from tests.rigs.histories import WALL, attempt, read, recording


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a history will be, in a folder of its own."""
    return tmp_path / "state" / "history.sqlite"


def folder_is_a_file(path: Path) -> None:
    """Let a file lie where the folder should be."""
    path.parent.write_text("in the way")


def path_is_a_folder(path: Path) -> None:
    """Let a folder lie where the file should be."""
    path.mkdir(parents=True)


def not_sqlite(path: Path) -> None:
    """Let the file be a text."""
    path.parent.mkdir()
    path.write_text("Dear diary, this is no database. " * 40)


def from_the_future(path: Path) -> None:
    """Let the file be a newer version's."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 999")


def of_another_application(path: Path) -> None:
    """Let the file be another application's."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE theirs (a)")


def damaged(path: Path) -> None:
    """Let all but the header of the file be nonsense."""
    open_history(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xa5" * (len(whole) - 100))


def from_the_future_and_damaged(path: Path) -> None:
    """Let all but the header of a newer version's file be nonsense."""
    from_the_future(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xa5" * (len(whole) - 100))


FOREIGN = [not_sqlite, from_the_future, from_the_future_and_damaged, of_another_application]
TROUBLES = [folder_is_a_file, path_is_a_folder, *FOREIGN]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_history_that_cannot_be_written_is_survived_told_and_healed(
    path: Path, trouble: Callable[[Path], None]
) -> None:
    """Rows wait, the state says what to do, and once the obstacle is gone every row is written: no gap."""
    trouble(path)

    async def main() -> None:
        async with recording(path) as at_work:
            at_work.post(attempt(1.0), attempt(2.0))
            assert not await at_work.flush()
            assert not at_work.state.ok
            assert "history.sqlite" in at_work.state.cause
            assert at_work.state.unsaved_rows == 2
            clear(path)
            assert await at_work.flush()
            assert at_work.state.ok
            assert at_work.state.cause == ""
            assert read(path, "SELECT count(*), (SELECT count(*) FROM gap) FROM attempt") == [(2, 0)]

    anyio.run(main)


def clear(path: Path) -> None:
    """Move whatever is in the way out of it."""
    obstacle = path.parent if path.parent.is_file() else path
    obstacle.rename(obstacle.with_name("moved away"))


@pytest.mark.parametrize("trouble", FOREIGN)
def test_a_file_that_cannot_be_written_is_left_untouched(path: Path, trouble: Callable[[Path], None]) -> None:
    """It may be all that someone has."""
    trouble(path)
    before = path.read_bytes()

    async def main() -> None:
        async with recording(path) as at_work:
            at_work.post(attempt(1.0))
            assert not await at_work.flush()

    anyio.run(main)
    assert path.read_bytes() == before


def test_rows_beyond_the_limit_are_dropped_oldest_first_and_the_gap_says_so(path: Path) -> None:
    """The gap holds the times of the first and last lost row, their count, and the cause."""
    folder_is_a_file(path)

    async def main() -> None:
        async with recording(path, clock=lambda: WALL + anyio.current_time()) as at_work:
            assert not await at_work.flush()
            at_work.post(*(attempt(float(number), number=number) for number in range(1, UNSAVED_LIMIT + 51)))
            assert not await at_work.flush()
            cause = at_work.state.cause
            assert (at_work.state.unsaved_rows, at_work.state.lost_rows) == (UNSAVED_LIMIT, 50)
            clear(path)
            assert await at_work.flush()
            assert (at_work.state.unsaved_rows, at_work.state.lost_rows) == (0, 50)
            assert read(path, "SELECT count(*), min(number) FROM attempt") == [(UNSAVED_LIMIT, 51)]
            assert read(path, "SELECT to_ms - from_ms, count, cause FROM gap") == [(49_000, 50, cause)]

    anyio.run(main)


def test_a_sick_history_heals_without_anyone_asking(path: Path) -> None:
    """The recorder tries again by itself."""
    folder_is_a_file(path)

    async def main() -> None:
        async with recording(path) as at_work:
            at_work.post(attempt(1.0))
            assert not await at_work.flush()
            clear(path)
            while not at_work.state.ok:
                await anyio.lowlevel.checkpoint()
            assert read(path, "SELECT count(*) FROM attempt") == [(1,)]

    anyio.run(main)


def test_a_database_that_may_not_grow_is_full_and_loses_nothing_that_waits(path: Path) -> None:
    """SQLITE_FULL, as on a full disk: the batch is undone as a whole, and written as a whole later."""

    async def main() -> None:
        async with recording(path) as at_work:
            assert await at_work.flush()
            connection = at_work.recorder._file._opened
            await connection.execute("PRAGMA max_page_count = 1")  # as small as it can be: the present size
            at_work.post(*(attempt(float(number)) for number in range(3000)))
            assert not await at_work.flush()
            assert "full; make room on its disk" in at_work.state.cause
            assert at_work.state.unsaved_rows == 3000
            assert await at_work.flush()  # on a new connection, which has no such limit
            assert read(path, "SELECT count(*) FROM attempt") == [(3000,)]

    anyio.run(main)


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Let each write beyond `size` bytes fail, as a disk without room lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)


def test_a_disk_without_room_is_survived_for_as_long_as_it_lasts(path: Path) -> None:
    """Rows beyond the limit are lost and counted; what was in the file stays whole."""

    async def main() -> None:
        async with recording(path) as at_work:
            at_work.post(attempt(0.0))
            assert await at_work.flush()
            with no_file_longer_than(64 * 1024):
                for burst in range(3):
                    at_work.post(*(attempt(float(burst)) for _ in range(UNSAVED_LIMIT // 2)))
                    assert not await at_work.flush()
                assert at_work.state.lost_rows == UNSAVED_LIMIT // 2
            assert await at_work.flush()
            assert read(path, "SELECT count(*) FROM attempt") == [(UNSAVED_LIMIT + 1,)]
            assert read(path, "SELECT sum(count) FROM gap") == [(UNSAVED_LIMIT // 2,)]
            assert read(path, "PRAGMA integrity_check") == [("ok",)]

    anyio.run(main)


def test_a_file_that_another_program_locks_is_written_once_it_is_free(path: Path) -> None:
    """The state says that someone holds its lock."""

    async def main() -> None:
        async with recording(path) as at_work:
            assert await at_work.flush()
            while at_work.recorder._house.under_way:
                await at_work.flush()
            other = sqlite3.connect(path, isolation_level=None)
            with closing(other):
                other.execute("BEGIN IMMEDIATE")
                at_work.post(attempt(1.0))
                assert not await at_work.flush()
                assert "another program holds its lock" in at_work.state.cause
            assert await at_work.flush()
            assert read(path, "SELECT count(*) FROM attempt") == [(1,)]

    anyio.run(main)


def delete_file(path: Path) -> None:
    """Delete the file alone."""
    path.unlink()


def delete_folder(path: Path) -> None:
    """Delete all there is."""
    shutil.rmtree(path.parent)


def replace_file(path: Path) -> None:
    """Put another history in its place."""
    shutil.rmtree(path.parent)
    open_history(path).close()


@pytest.mark.parametrize("remove", [delete_file, delete_folder, replace_file])
def test_a_history_deleted_under_the_daemon_begins_anew_and_tells_what_went_with_it(
    path: Path, remove: Callable[[Path], None]
) -> None:
    """Rows written to the file that vanished are a gap of the new one; rows that come after it are there."""

    async def main() -> None:
        async with recording(path) as at_work:
            at_work.post(attempt(1.0), attempt(2.0))
            assert await at_work.flush()
            remove(path)
            at_work.post(attempt(3.0, number=3))
            assert await at_work.flush()
            assert read(path, "SELECT number FROM attempt") == [(3,)]
            ((count, cause),) = read(path, "SELECT count, cause FROM gap")
            assert count == 2
            assert "deleted or replaced" in cause
            assert at_work.state.ok
            assert at_work.state.lost_rows == 2

    anyio.run(main)


def test_a_history_whose_marks_were_taken_away_gets_them_back(path: Path) -> None:
    """Somebody may have tidied by hand: nothing is counted twice for it, and the daemon goes on."""

    async def main() -> None:
        async with recording(path) as at_work:
            at_work.post(attempt(1.0))
            assert await at_work.flush()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM rollup_mark")
            connection.commit()
        async with recording(path) as at_work:
            at_work.post(attempt(2.0))
            assert await at_work.flush()
            assert at_work.state.ok

    anyio.run(main)
    assert dict(read(path, "SELECT source, last_id >= 1 FROM rollup_mark"))["attempt"] == 1


def test_whoever_waits_for_the_file_is_known_to_wait_and_until_when(path: Path) -> None:
    """Law: a slow disk restarts nothing, so a write that waits for it says so, from its beginning to its end."""

    async def scene() -> None:
        file = HistoryFile(path)
        await file.open(1, Opening())
        rows = inserts_of((attempt(1.0),), 0.0)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_fail, file, rows)
                await anyio.wait_all_tasks_blocked()
                seen.append(file.waits_since is not None)
        seen.append(file.waits_since is not None)
        await file.close()

    seen: list[bool] = []
    anyio.run(scene)
    assert seen == [True, False]


async def _fail(file: HistoryFile, rows: Inserts) -> None:
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await file.write(rows)
