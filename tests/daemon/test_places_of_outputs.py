"""What the verbs write takes the place of regular files alone: root runs them, and a device would be gone."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from pathlib import Path

import pytest

from daemon.cli.main import main
from state.history.migrations import open_history


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return an empty history."""
    path = tmp_path / "history.sqlite"
    open_history(path).close()
    return path


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Return a named pipe, which stands for everything that is no regular file."""
    path = tmp_path / "pipe.toml"
    os.mkfifo(path)
    return path


def _backup(file: Path, to: Path) -> int:
    return main(["history", "backup", str(to), "--force", "--history", str(file)])


def _export(file: Path, to: Path) -> int:
    return main(["history", "export", "request", "--output", str(to), "--history", str(file)])


def test_a_pipe_or_a_device_is_not_replaced(file: Path, pipe: Path) -> None:
    """Law: exit code 2 and nothing changed; else root's `--output` on a device would leave the machine without it."""
    assert _backup(file, pipe) == _export(file, pipe) == 2
    assert main(["keys", "add", "ada", "--config", str(pipe)]) == 2
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_is_neither_replaced_nor_written_through(file: Path, tmp_path: Path) -> None:
    """Law: neither what it leads to nor the link itself changes."""
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "link").symlink_to("theirs")
    assert _backup(file, tmp_path / "link") == _export(file, tmp_path / "link") == 2
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "theirs").read_text() == "theirs"


@pytest.mark.parametrize("name", ["copy.part", f"copy.part{os.getpid()}"], ids=["fixed", "of this process"])
def test_a_link_that_was_laid_where_an_unfinished_file_goes_is_not_followed(
    file: Path, tmp_path: Path, name: str
) -> None:
    """Law: whoever may write the folder cannot have root write elsewhere."""
    (tmp_path / "theirs").write_text("theirs")
    for write in (_backup, _export):
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).symlink_to("theirs")
        assert write(file, tmp_path / "copy") == 0
        assert (tmp_path / "theirs").read_text() == "theirs"
        (tmp_path / "copy").unlink()


def test_two_copies_to_one_name_do_not_meet(file: Path, tmp_path: Path) -> None:
    """Law: another process's unfinished copy is left alone."""
    (tmp_path / "copy.part1").write_bytes(b"another's")
    assert _backup(file, tmp_path / "copy") == 0
    assert (tmp_path / "copy.part1").read_bytes() == b"another's"
    with closing(open_history(tmp_path / "copy")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
