"""The recorder at work: rows reach the file in time, and the file can be read at any moment."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from state.history.recorder import Recorder
from state.history.rows import FlushRequested, RecorderMessage
from state.mailbox import Mailbox, Reply
from state.policy import HistoryPolicy
from tests.rigs.histories import STEADY, WALL, attempt, every_row, read, recording

ROOT = Path(__file__).parents[2]
CHILD = """
import itertools, sys, time
from pathlib import Path
import anyio
from state.history.recorder import Recorder
from state.mailbox import Mailbox
from state.policy import HistoryPolicy
from tests.rigs.histories import attempt

async def write():
    mailbox = Mailbox()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Recorder(mailbox, Path(sys.argv[1]), HistoryPolicy(), time.time).run)
        for number in itertools.count(1):
            at = anyio.current_time()
            mailbox.put(attempt(at, number=number))
            print(number, at, flush=True)
            await anyio.sleep(0.001)

anyio.run(write)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a history will be."""
    return tmp_path / "history.sqlite"


def test_each_row_that_is_posted_is_in_the_file_after_a_flush(path: Path) -> None:
    """Each kind goes to its own table, and its time is Unix time by the offset of the two clocks."""

    async def main() -> None:
        async with recording(path) as at_work:
            at = anyio.current_time()
            at_work.post(*every_row(at))
            assert await at_work.flush()
            for table in ("probe", "request", "attempt", "decision", "fallback", "transition", "operation"):
                ((at_ms,),) = read(path, f"SELECT at_ms FROM {table}")  # noqa: S608
                assert abs(at_ms - (WALL + at) * 1000) <= 2
            assert at_work.state.ok
            assert at_work.state.unsaved_rows == 0
            assert at_work.state.wal_bytes > 0

    anyio.run(main)


def test_rows_reach_the_file_without_anyone_asking(path: Path) -> None:
    """A reader that only looks sees them come."""

    async def main() -> None:
        async with recording(path) as at_work:
            assert await at_work.flush()
            at_work.post(attempt(anyio.current_time()))
            while not read(path, "SELECT * FROM attempt"):
                await anyio.lowlevel.checkpoint()

    anyio.run(main)


def test_many_rows_are_written_in_the_order_in_which_they_were_posted(path: Path) -> None:
    """Ids are a cursor: who has seen one has seen all before it."""

    async def main() -> None:
        async with recording(path) as at_work:
            for burst in range(10):
                at_work.post(*(attempt(burst, number=burst * 300 + n + 1) for n in range(300)))
                await anyio.lowlevel.checkpoint()
            assert await at_work.flush()
        assert read(path, "SELECT count(*), min(number), max(number) FROM attempt") == [(3000, 1, 3000)]
        assert read(path, "SELECT 1 FROM attempt WHERE number <> id") == []

    anyio.run(main)


def test_a_clean_end_writes_what_waits_and_leaves_one_plain_file(path: Path) -> None:
    """A reader who may not write the folder can open it: no -wal, no -shm, and a journal mode that needs neither."""

    async def main() -> None:
        async with recording(path) as at_work:
            at_work.post(attempt(anyio.current_time()))
        assert [file.name for file in path.parent.iterdir()] == ["history.sqlite"]
        assert read(path, "PRAGMA journal_mode") == [("delete",)]
        assert read(path, "SELECT count(*) FROM attempt") == [(1,)]
        ((ended_ms,),) = read(path, "SELECT ended_ms FROM run")
        assert ended_ms > WALL * 1000

    anyio.run(main)


def test_a_cancelled_recorder_ends_as_cleanly_as_a_closed_one(path: Path) -> None:
    """Whoever waits for a flush is answered, and nothing that was posted is lost."""
    mailbox: Mailbox[RecorderMessage] = Mailbox()
    recorder = Recorder(mailbox, path, HistoryPolicy(), lambda: WALL)

    async def main() -> None:
        reply: Reply[bool] = Reply()
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(recorder.run)
                await anyio.lowlevel.checkpoint()
                mailbox.put(attempt(1.0))
                mailbox.put(FlushRequested(reply=reply))
                tasks.cancel_scope.cancel()
            assert await reply.wait()

    anyio.run(main)
    assert read(path, "SELECT count(*) FROM attempt") == [(1,)]
    assert not Path(f"{path}-wal").exists()


def test_a_reader_that_stays_does_not_keep_the_recorder_from_ending(path: Path) -> None:
    """It goes on reading what it has; the next start takes the file as it is."""

    async def main() -> None:
        async with recording(path) as at_work:
            at_work.post(attempt(anyio.current_time()))
            assert await at_work.flush()
            reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
            with closing(reader):
                reader.execute("BEGIN")
                assert reader.execute("SELECT count(*) FROM attempt").fetchone() == (1,)
                at_work.post(attempt(anyio.current_time()))
                assert await at_work.flush()
                await at_work.recorder.close()
                assert reader.execute("SELECT count(*) FROM attempt").fetchone() == (1,)
        async with recording(path) as at_work:
            assert await at_work.flush()
        assert read(path, "SELECT count(*) FROM attempt") == [(2,)]
        assert read(path, "SELECT count(*) FROM run WHERE ended_ms IS NOT NULL") == [(2,)]

    anyio.run(main)


def test_choices_above_the_rate_are_sampled_and_the_rows_say_how_many_they_stand_for(path: Path) -> None:
    """What the rows stand for adds up to what was decided, but for the few since the last row."""

    async def main() -> None:
        decision = every_row(100.5)[3]
        async with recording(path, HistoryPolicy(decisions_per_second=10)) as at_work:
            at_work.post(*(decision for _ in range(1000)))
            assert await at_work.flush()
        ((rows, stand_for),) = read(path, "SELECT count(*), sum(sampled_of) FROM decision")
        assert rows < 100
        assert 800 < stand_for <= 1000

    anyio.run(main)


def test_a_full_mailbox_leaves_a_gap_that_counts_what_was_refused(path: Path) -> None:
    """Nothing is lost without the history saying so."""

    async def main() -> None:
        async with recording(path, capacity=5) as at_work:
            at_work.post(*(attempt(anyio.current_time()) for _ in range(12)))
            while not at_work.state.lost_rows:
                await anyio.lowlevel.checkpoint()
            assert await at_work.flush()
            assert read(path, "SELECT count(*) FROM attempt") == [(5,)]
            assert read(path, "SELECT count, cause, from_ms <= to_ms FROM gap") == [
                (7, "more rows came than the recorder could take", 1)
            ]
            assert at_work.state.lost_rows == 7

    anyio.run(main)


def test_the_recorder_keeps_house_while_it_writes(path: Path) -> None:
    """Rows whose time is over go, rolled up first, and rows that come meanwhile are there."""

    async def main() -> None:
        async with recording(path) as at_work:
            at_work.post(*(attempt(-31 * 86400.0) for _ in range(5000)))
            at_work.post(*(attempt(0.0) for _ in range(10)))
            assert await at_work.flush()
        async with recording(path) as at_work:
            while read(path, "SELECT count(*) FROM attempt WHERE number = 1") != [(10,)]:
                at_work.post(attempt(0.0, number=2))
                assert await at_work.flush()
            assert read(path, "SELECT sum(answers) >= 5010 FROM latency_hourly") == [(1,)]

    anyio.run(main)


def test_a_kill_loses_at_most_the_last_quarter_second_and_the_file_stays_whole(path: Path) -> None:
    """SIGKILL at a busy moment; a reader opens what is left, and so does the next recorder."""
    command = [sys.executable, "-c", CHILD, str(path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as child:  # noqa: S603
        assert child.stdout is not None
        posted = {}
        for line in child.stdout:
            number, at = line.split()
            posted[int(number)] = float(at)
            if len(posted) == 600:
                child.send_signal(signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
    ((saved,),) = read(path, "SELECT max(number) FROM attempt")
    assert max(posted.values()) - posted[saved] <= 0.25
    assert read(path, "SELECT count(*) FROM attempt") == [(saved,)]
    assert read(path, "PRAGMA integrity_check") == [("ok",)]
    assert read(path, "SELECT ended_ms FROM run") == [(None,)]

    async def main() -> None:
        async with recording(path) as at_work:
            at_work.post(attempt(anyio.current_time(), target=STEADY))
            assert await at_work.flush()
        assert read(path, "SELECT count(*) FROM attempt") == [(saved + 1,)]

    anyio.run(main)


def test_a_recorder_that_a_bug_ends_leaves_no_thread_behind(path: Path) -> None:
    """Whatever is raised at the end, the file is closed: its thread would keep the process alive."""
    times, recorders = [WALL], []

    async def main() -> None:
        async with recording(path, clock=lambda: times[-1]) as at_work:
            assert await at_work.flush()
            recorders.append(at_work.recorder)
            times.append(float("nan"))

    with pytest.raises(BaseExceptionGroup):
        anyio.run(main)
    assert not recorders[0]._file.is_open
