"""Pruning on demand: by the recorder where one runs, directly where none does, and never beside somebody else."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from state.durations import Seconds
from state.errors import HistoryError
from state.history.migrations import open_history
from state.history.offline import prune_offline
from state.history.pruning import Pruned, PruneRequested, Room
from state.mailbox import Reply
from tests.rigs.histories import WALL, Recording, attempt, fill, read, recording

DAY_S = 86_400.0
NOW_MS = round(WALL * 1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a history will be."""
    return tmp_path / "history.sqlite"


async def prune(at_work: Recording, older_than: float, room: Room) -> Pruned:
    """Return what the recorder says when it has pruned."""
    reply: Reply[Pruned] = Reply()
    at_work.post(PruneRequested(older_than=Seconds(older_than), room=room, reply=reply))
    return await reply.wait()


def test_the_recorder_prunes_while_it_writes_and_gives_room_back(path: Path) -> None:
    """Old rows go, counted; younger ones, and what comes meanwhile, stay; what they add up to stays too."""
    with closing(open_history(path)) as connection:
        fill(connection, tuple(attempt(WALL - 2 * DAY_S, request_id="r" * 400) for _ in range(3000)))
        fill(connection, tuple(attempt(WALL - 60.0, number=2) for _ in range(5)))

    async def main() -> None:
        async with recording(path, clock=lambda: WALL) as at_work:
            assert await at_work.flush()
            kept = await prune(at_work, DAY_S, Room.KEPT)
            assert (kept.rows, kept.cause) == (3000, "")
            assert kept.unused_bytes > 1_000_000
            assert kept.bytes_after >= kept.unused_bytes
            at_work.post(attempt(0.0, number=3))
            returned = await prune(at_work, DAY_S, Room.RETURNED)
            assert (returned.rows, returned.unused_bytes, returned.cause) == (0, 0, "")
            assert returned.bytes_after < kept.bytes_after - 1_000_000
            assert await at_work.flush()
        assert read(path, "SELECT number, count(*) FROM attempt GROUP BY number") == [(2, 5), (3, 1)]
        assert read(path, "SELECT sum(n) >= 3005 FROM evidence_hour") == [(1,)]
        assert read(path, "PRAGMA integrity_check") == [("ok",)]

    anyio.run(main)


def test_rows_that_a_restart_recalls_from_are_never_pruned(path: Path) -> None:
    """Within the hour nothing goes, whatever is asked for."""

    async def main() -> None:
        async with recording(path, clock=lambda: WALL) as at_work:
            at_work.post(attempt(anyio.current_time()))
            assert (await prune(at_work, 0.0, Room.KEPT)).rows == 0

    anyio.run(main)
    assert read(path, "SELECT count(*) FROM attempt") == [(1,)]


def test_who_asks_a_sick_history_to_be_pruned_is_told_why_it_is_not(path: Path) -> None:
    """Nobody waits for ever; asked again once it is well, it is done."""
    path.mkdir()

    async def main() -> None:
        async with recording(path) as at_work:
            assert not await at_work.flush()
            assert "history.sqlite" in (await prune(at_work, DAY_S, Room.KEPT)).cause
            os.rmdir(path)  # noqa: PTH106 - pathlib's blocks no less
            assert await at_work.flush()
            assert (await prune(at_work, DAY_S, Room.KEPT)).cause == ""

    anyio.run(main)


def test_who_waits_when_the_daemon_ends_is_told(path: Path) -> None:
    """The end does not wait for a long pruning."""

    async def main() -> None:
        replies: list[Reply[Pruned]] = [Reply(), Reply()]
        async with recording(path) as at_work:
            assert await at_work.flush()
            at_work.post(*(PruneRequested(older_than=Seconds(DAY_S), room=Room.KEPT, reply=one) for one in replies))
        assert [(await one.wait()).cause for one in replies] == ["the daemon ends"] * 2

    anyio.run(main)


def test_without_a_daemon_a_history_is_pruned_directly_and_left_as_one_plain_file(path: Path) -> None:
    """Roll-ups stay however old; a file of an earlier fairlead gives its room back too."""
    with closing(open_history(path)) as connection:
        fill(connection, tuple(attempt(WALL - 500 * DAY_S, request_id="r" * 400) for _ in range(1500)))
        fill(connection, (attempt(WALL - 60.0, number=2),))
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
    assert read(path, "PRAGMA auto_vacuum") == [(0,)]
    report = prune_offline(path, Seconds(DAY_S), Room.RETURNED, NOW_MS)
    assert (report.rows, report.unused_bytes) == (1500, 0)
    assert report.bytes_after < report.bytes_before
    assert read(path, "SELECT number FROM attempt") == [(2,)]
    assert read(path, "SELECT sum(n) FROM evidence_hour") == [(1501,)]
    assert read(path, "PRAGMA auto_vacuum") == [(2,)]
    assert list(path.parent.iterdir()) == [path]


def test_a_history_that_somebody_has_open_is_not_pruned_beside_him(path: Path) -> None:
    """Its daemon is its only writer; a reader is waited for by asking again."""
    with closing(open_history(path)) as connection:
        fill(connection, (attempt(0.0),))
        with pytest.raises(HistoryError, match="open in another program"):
            prune_offline(path, Seconds(DAY_S), Room.KEPT, NOW_MS)
        fill(connection, (attempt(0.0),))
    assert prune_offline(path, Seconds(DAY_S), Room.KEPT, NOW_MS).rows == 2


def test_there_is_nothing_to_prune_where_there_is_no_history(path: Path) -> None:
    """No file is made by asking."""
    with pytest.raises(HistoryError, match="there is no history"):
        prune_offline(path, Seconds(DAY_S), Room.KEPT, NOW_MS)
    path.write_text("Dear diary, this is no database. " * 40)
    with pytest.raises(HistoryError, match="not an SQLite file"):
        prune_offline(path, Seconds(DAY_S), Room.KEPT, NOW_MS)
    with closing(sqlite3.connect(path.with_name("other"))) as connection:
        connection.executescript("CREATE TABLE theirs (a)")
    with pytest.raises(HistoryError, match="another application"):
        prune_offline(path.with_name("other"), Seconds(DAY_S), Room.KEPT, NOW_MS)
