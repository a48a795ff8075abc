"""People who are not root read the history with plain `sqlite3 -readonly`, whatever has become of the daemon."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from state.errors import HistoryError
from state.history.inspection import query
from state.history.migrations import open_history
from tests.rigs.histories import attempt, fill
from tests.rigs.openly import opened
from tests.rigs.process import LAB, Daemon

MEMBER, GROUP, STRANGER = 54321, 54322, 54323
"""Numbers that have no name on any machine."""
SQLITE3 = shutil.which("sqlite3")
COUNT = "SELECT count(*) FROM request"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
    pytest.mark.skipif(SQLITE3 is None, reason="there is no program sqlite3 here"),
]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a folder as systemd makes it: the daemon's, with a group that may enter it and not write."""
    folder = opened(tmp_path) / "state"
    folder.mkdir()
    os.chown(folder, 0, GROUP)
    folder.chmod(0o2750)  # what is made in it gets its group, as the daemon's own group would give
    return folder


@contextmanager
def under_umask(mask: int) -> Iterator[None]:
    """Let what is started here be started with a umask."""
    former = os.umask(mask)
    try:
        yield
    finally:
        os.umask(former)


@pytest.fixture
def daemon(tmp_path: Path, state: Path) -> Iterator[Daemon]:
    """Give a daemon under the strictest umask that has served one request."""
    one = Daemon(tmp_path, LAB)
    one.history = state / "history.sqlite"
    try:
        with under_umask(0o077):
            one.start()
        assert one.chat("chat").status == 200
        assert one.ask("POST", "/fairlead/v1/sql", {"query": COUNT}).json()["rows"] == [[1]]
        yield one
    finally:
        if one.process is not None and one.process.poll() is None:
            one.stop()


def said(file: Path | str, sql: str, *, user: int = MEMBER, groups: tuple[int, ...] = (GROUP,)) -> str:
    """Return what plain sqlite3 prints for another user."""
    assert SQLITE3 is not None
    done = subprocess.run(  # noqa: S603
        [SQLITE3, "-readonly", "-init", "/dev/null", str(file), sql],
        user=user,
        group=user,
        extra_groups=groups,
        cwd="/",
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stdout + done.stderr).strip()


def test_a_member_of_the_group_reads_while_it_runs_after_it_was_killed_and_after_it_stopped(daemon: Daemon) -> None:
    """Three states of the file, each with what SQLite needs beside it; a stranger is refused in each."""
    path = daemon.history
    modes = {stat.S_IMODE(Path(f"{path}{part}").stat().st_mode) for part in ("", "-wal", "-shm")}
    assert modes == {0o640}  # whatever the umask
    for then in (lambda: None, daemon.kill, daemon.start, daemon.stop):
        then()
        assert said(path, COUNT) == "1"
        assert "unable to open" in said(path, COUNT, user=STRANGER, groups=())
        assert "readonly" in said(path, "DELETE FROM request")
    assert [each.name for each in path.parent.iterdir() if each.name.startswith("history")] == ["history.sqlite"]


def again(daemon: Daemon) -> None:
    """Start the daemon, and let it open its file."""
    daemon.start()
    assert daemon.ask("POST", "/fairlead/v1/sql", {"query": COUNT}).json()["rows"] == [[1]]


def test_what_keeps_the_group_from_reading_is_healed_at_the_start(daemon: Daemon) -> None:
    """Modes that a restore has left, and a -shm file that is gone: only who may write the folder makes one."""
    daemon.kill()
    Path(f"{daemon.history}-shm").unlink()
    assert "unable to open" in said(daemon.history, COUNT)
    for part in ("", "-wal"):
        Path(f"{daemon.history}{part}").chmod(0o600)
    assert "unable to open" in said(daemon.history, COUNT)
    again(daemon)
    assert said(daemon.history, COUNT) == "1"


def test_a_folder_that_the_daemon_makes_may_be_entered_by_its_group(tmp_path: Path) -> None:
    """Whatever the umask: else the mode of the file would be worth nothing."""
    path = tmp_path / "made" / "history.sqlite"
    with under_umask(0o077):
        open_history(path).close()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750


@pytest.fixture
def bereft(state: Path) -> Path:
    """Return what is left when root has opened a killed daemon's file with plain sqlite3: no log and no index."""
    path = state / "history.sqlite"
    with closing(open_history(path)) as connection:
        fill(connection, (attempt(1.0),))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM attempt").fetchone() == (1,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert list(state.iterdir()) == [path]
    return path


def test_a_file_without_its_log_is_read_as_one_that_nobody_writes(bereft: Path) -> None:
    """Plain sqlite3 needs to be told so; fairlead finds out for itself."""
    sql = "SELECT count(*) FROM attempt"
    assert said(bereft, sql).startswith("Error")
    assert said(f"{bereft.as_uri()}?immutable=1", sql) == "1"
    assert as_member(bereft, sql) == "((1,),)"


def as_member(path: Path, sql: str) -> str:
    """Return the rows that a member of the group finds with fairlead's own reader."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.setgroups([GROUP])
        os.setgid(MEMBER)
        os.setuid(MEMBER)
        try:
            os.write(writing, repr(query(path, sql).rows).encode())
        except HistoryError as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as told:
        return told.read()


VERB = """
import os, sys, encodings.idna, daemon.cli.sql, daemon.cli.history_check, daemon.cli.history_export
import daemon.cli.history_backup, daemon.cli.history_prune, daemon.cli.history
from daemon.cli.main import main
from daemon.config import places
from pathlib import Path
places._SYSTEM_SOCKET, places._SYSTEM_HISTORY = Path(sys.argv[1]), Path(sys.argv[2])
os.environ.clear()
os.environ["HOME"] = "/nonexistent"
os.setgroups([]); os.setgid(54323); os.setuid(54323)
sys.exit(main(sys.argv[3:]))
"""


def as_stranger(daemon: Daemon, *words: str) -> tuple[int, str]:
    """Return how a verb ends, and what it prints, for a user who may use the socket and nothing else."""
    command = [sys.executable, "-c", VERB, str(daemon.socket), str(daemon.history), *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    return done.returncode, done.stdout + done.stderr


def test_a_user_without_any_permission_for_the_file_asks_the_daemon(daemon: Daemon) -> None:
    """What reads works without saying where; what needs the file itself, or changes it, ends with 4."""
    daemon.socket.chmod(0o666)
    assert as_stranger(daemon, "sql", COUNT, "--format", "csv") == (0, "count(*)\n1\n")
    code, text = as_stranger(daemon, "history", "export", "request", "--format", "jsonl")
    assert (code, '"workload": "chat"' in text) == (0, True)
    for words in (("check",), ("backup", "/nonexistent/copy"), ("prune",)):
        code, text = as_stranger(daemon, "history", *words)
        assert code == 4, text
