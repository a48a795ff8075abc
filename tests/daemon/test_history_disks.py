"""Five troubles of a real disk under the real daemon: routing goes on, status says what to do, and it heals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rigs.mounted import OnADisk, why_not
from tests.rigs.process import LAB

_WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "mounts can be made")


@pytest.fixture
def daemon(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[OnADisk]:
    """Give a daemon on a disk of its own, which is mounted as the test says."""
    one = OnADisk(tmp_path, LAB, getattr(request, "param", "rw"))
    try:
        one.start()
        yield one
    finally:
        if one.process is not None and one.process.poll() is None:
            one.stop()


def ok(history: dict[str, Any]) -> bool:
    """Whether it is told that the history is well."""
    return bool(history["ok"])


def sick(history: dict[str, Any]) -> bool:
    """Whether it is told that it is not."""
    return not history["ok"]


def told(status: dict[str, Any]) -> str:
    """Return the one line among the problems that is about the history."""
    (line,) = [problem for problem in status["problems"] if problem.startswith("history:")]
    return str(line)


def all_are_there(daemon: OnADisk) -> bool:
    """Whether every request has its row, and nothing is said to be missing."""
    status = daemon.until(ok)
    assert not [problem for problem in status["problems"] if problem.startswith("history:")]
    return daemon.rows("SELECT count(*), (SELECT count(*) FROM gap) FROM request") == [[daemon.served, 0]]


@pytest.mark.parametrize("daemon", ["ro"], indirect=True)
def test_a_disk_that_is_read_only_and_then_full_loses_nothing(daemon: OnADisk) -> None:
    """From the start, and for as long as it lasts; then the disk is filled, which takes no more than a few rows."""
    assert "Read-only file system" in told(status := daemon.until(sick)) or "read-only" in told(status)
    assert "let it be written again" in told(status)
    daemon.inside("mount -o remount,rw .")
    assert all_are_there(daemon)
    daemon.inside("head -c 9000000 /dev/zero > filler 2>/dev/null || true")
    assert "make room on its disk" in told(daemon.until(sick))
    daemon.inside("rm filler")
    assert all_are_there(daemon)


def test_a_file_that_is_locked_and_then_deleted_and_replaced_goes_on(daemon: OnADisk) -> None:
    """What waits for a lock is written; what went with a file is a gap in the next one."""
    daemon.until(ok)
    with daemon.locked():
        assert "another program holds its lock: end it" in told(daemon.until(sick))
    assert all_are_there(daemon)
    daemon.inside("rm history.sqlite")
    daemon.until(lambda history: history["lost_rows"])
    daemon.until(ok)
    ((count, cause),) = daemon.rows("SELECT count, cause FROM gap")
    assert (count > 0, "deleted or replaced" in cause) == (True, True)
    daemon.inside("cp history.sqlite other && mv other history.sqlite")
    daemon.until(lambda history: history["lost_rows"] > count)
    daemon.until(ok)
    assert daemon.rows("PRAGMA application_id") == [[0x46414952]]


def test_a_file_that_is_overwritten_is_set_aside_and_a_new_one_begun(daemon: OnADisk) -> None:
    """Nothing is deleted; status says where the old one is, and so does the new one."""
    daemon.until(ok)
    daemon.inside("head -c 20000 /dev/urandom | dd of=history.sqlite conv=notrunc status=none")
    status = daemon.until(lambda history: history["set_aside"] and ok(history))
    aside = Path(status["history"]["set_aside"])
    assert aside.name in daemon.inside("ls").split()
    ((message,),) = daemon.rows("SELECT message FROM alert WHERE kind = 'history_damaged'")
    assert aside.name in message
    assert not [problem for problem in status["problems"] if problem.startswith("history:")]
