"""Whoever may not open the socket is told whose it is and which group to join, and the exit code says so."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.access.names import Kind, numbered, system_name
from daemon.cli.getting_in import how_to_get_in
from tests.rigs.openly import opened

_VERB = """
import encodings.idna, os, sys, daemon.cli.status
from daemon.cli.main import main
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""
_needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def _listening(path: Path, mode: int, gid: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(mode)
    if path.stat().st_gid != gid:
        os.chown(path, -1, gid)
    listener.listen()
    return listener


def _status_of(path: Path) -> tuple[int, str]:
    command = [sys.executable, "-c", _VERB, "status", "--socket", str(path)]
    run = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    return run.returncode, run.stderr


@_needs_root
def test_who_lacks_the_sockets_group_is_told_to_join_it(tmp_path: Path) -> None:
    """Law: exit 4, and the very command that helps."""
    path = opened(tmp_path) / "s"
    user, group = system_name(Kind.USER, 65534), system_name(Kind.GROUP, 2) or numbered(Kind.GROUP, 2)
    with _listening(path, 0o660, 2):
        code, told = _status_of(path)
    assert code == 4
    assert f"usermod -aG {group} {user}" in told


@_needs_root
def test_who_may_not_even_see_the_socket_is_told_what_keeps_it_out(tmp_path: Path) -> None:
    """Law: a folder of another group, and one that is its owner's alone, are told apart."""
    folder = opened(tmp_path) / "run"
    folder.mkdir(0o750)
    os.chown(folder, -1, 2)
    with _listening(folder / "s", 0o660, 2):
        code, told = _status_of(folder / "s")
        assert (code, "usermod -aG" in told) == (4, True)
        folder.chmod(0o700)
        code, told = _status_of(folder / "s")
    assert code == 4
    assert f"{folder} is {system_name(Kind.USER, 0)}'s alone" in told


@_needs_root
def test_where_nobody_listens_that_is_told_instead(tmp_path: Path) -> None:
    """Law: 3 for no daemon, 4 for no permission."""
    assert _status_of(opened(tmp_path) / "none")[0] == 3


def test_a_socket_of_ones_own_without_a_mode_for_groups_is_its_owners_alone(tmp_path: Path) -> None:
    """Law: nobody is sent to a group that opens nothing."""
    with _listening(tmp_path / "s", 0o600, os.getgid()):
        assert "alone" in how_to_get_in(tmp_path / "s")
