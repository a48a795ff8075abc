"""One daemon alone writes a history."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from state.errors import HistoryError
from state.history.claim import claim
from tests.rigs.process import LAB, running


def test_a_claim_holds_until_its_process_ends_and_no_longer(tmp_path: Path) -> None:
    """Law: the second is told; after the first has ended, however it did, the next one has it."""
    path = tmp_path / "new" / "history.sqlite"
    first = claim(path)
    assert first is not None
    with pytest.raises(HistoryError, match="another daemon writes it"):
        claim(path)
    os.close(first)
    again = claim(path)
    assert again is not None
    os.close(again)


def test_where_nothing_can_be_written_nothing_is_claimed(tmp_path: Path) -> None:
    """Law: no claim is no reason to stop; the history is in trouble there anyway, and says so."""
    (tmp_path / "file").write_text("")
    assert claim(tmp_path / "file" / "history.sqlite") is None


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    """Law: nobody has the daemon make a file somewhere else."""
    (tmp_path / ".history.sqlite.lock").symlink_to(tmp_path / "elsewhere")
    assert claim(tmp_path / "history.sqlite") is None
    assert not (tmp_path / "elsewhere").exists()


def test_a_second_daemon_with_the_same_history_does_not_start(tmp_path: Path) -> None:
    """Law: it ends with what to do, takes its socket away, and the first goes on; a killed one stops nobody."""
    with running(tmp_path, LAB) as daemon:
        command = [sys.executable, "-m", "daemon.cli.main", "serve", "--config", str(daemon.config)]
        places = ["--socket", str(tmp_path / "other.sock"), "--history", str(daemon.history), "--listen", "none"]
        second = subprocess.run(  # noqa: S603 - our own command
            [*command, *places], capture_output=True, text=True, check=False, timeout=30
        )
        assert (second.returncode, "choose another with --history" in second.stderr) == (1, True)
        assert not (tmp_path / "other.sock").exists()
        assert daemon.chat("chat").status == 200
        daemon.kill()
        daemon.start()
