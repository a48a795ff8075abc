"""Listening: taken over from the dead, never from the living."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from daemon.doors.sockets import ListenError, listen_tcp, listen_unix, unlink_unix


def test_a_socket_of_a_dead_daemon_is_taken_over(tmp_path: Path) -> None:
    """Law: a socket that nobody answers does not stop a start."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listen_unix(path) as listener:
        assert listener.getsockname() == str(path)


def test_a_socket_of_a_live_daemon_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Law: a second daemon never steals the first one's socket."""
    path = tmp_path / "s"
    with listen_unix(path):
        inode = path.lstat().st_ino
        with pytest.raises(ListenError, match="answers there already"):
            listen_unix(path)
        assert path.lstat().st_ino == inode


def test_something_that_is_no_socket_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Law: no file of a user is ever removed."""
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(ListenError, match="not a socket"):
        listen_unix(path)
    assert path.read_text() == "precious"


def test_the_socket_admits_its_group_and_nobody_else(tmp_path: Path) -> None:
    """Law: the file's mode is 0660, in a folder that is made 0700."""
    path = tmp_path / "new" / "s"
    with listen_unix(path):
        assert stat.S_IMODE(path.lstat().st_mode) == 0o660
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_path_too_long_for_a_socket_is_explained(tmp_path: Path) -> None:
    """Law: the kernel's limit is told in words."""
    with pytest.raises(ListenError, match="107 bytes"):
        listen_unix(tmp_path / ("x" * 120))


def test_only_the_own_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    """Law: a socket that another daemon has put there meanwhile stays."""
    path = tmp_path / "s"
    with listen_unix(path):
        inode = path.lstat().st_ino
        path.replace(tmp_path / "moved")
        with listen_unix(path):
            unlink_unix(path, inode)
            assert path.exists()
            unlink_unix(path, path.lstat().st_ino)
            assert not path.exists()


def test_a_taken_port_is_explained() -> None:
    """Law: the error names the address and the flag that changes it."""
    with listen_tcp("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{port}.*--listen"):
            listen_tcp("127.0.0.1", port)
