"""Socket activation: what systemd hands over is served, and stays systemd's."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
from pathlib import Path

import pytest

from daemon.service.activation import NOTHING_PASSED, inherited
from tests.rigs.activated import handed, tcp_listener, unix_listener
from tests.rigs.process import UnixConnection

_TELL = """
import os
from daemon.doors.sockets import ListenError
from daemon.service.activation import inherited
try:
    passed = inherited(os.environ)
except ListenError as error:
    print(error)
else:
    for kind in ("unix", "tcp"):
        for listener in getattr(passed, kind):
            print(kind, listener.getsockname(), listener.get_inheritable(), listener.getblocking())
"""


def told(sockets: list[socket.socket], names: str) -> str:
    """Return what a process makes of the sockets that it is handed."""
    process = handed(sockets, names, ["-c", _TELL])
    output, _ = process.communicate(timeout=30)
    for listener in sockets:
        listener.close()
    return output.decode()


def test_sockets_are_told_apart_by_their_names(tmp_path: Path) -> None:
    """Law: the order of descriptors means nothing; none is inherited further, none blocks."""
    tcp, unix = tcp_listener(), unix_listener(tmp_path / "s")
    port = tcp.getsockname()[1]
    output = told([tcp, unix], "http:api")
    assert output.splitlines() == [f"unix {tmp_path / 's'} False False", f"tcp ('127.0.0.1', {port}) False False"]


def test_sockets_without_names_are_known_by_their_family(tmp_path: Path) -> None:
    """Law: systemd-socket-activate, which names nothing, works too."""
    assert told([unix_listener(tmp_path / "s")], "").startswith("unix ")
    assert told([tcp_listener()], "unknown").startswith("tcp ")


def test_a_name_that_is_not_known_is_explained(tmp_path: Path) -> None:
    """Law: nothing is served that nobody asked for; the error says what to write in the unit."""
    assert "FileDescriptorName=api" in told([unix_listener(tmp_path / "s")], "fairlead.socket")


def test_a_socket_of_another_kind_than_its_name_is_refused(tmp_path: Path) -> None:
    """Law: `api` is a Unix socket; a TCP one under that name would operate without a kernel's word for who calls."""
    assert "AF_INET" in told([tcp_listener()], "api")
    assert "AF_UNIX" in told([unix_listener(tmp_path / "s")], "http")


def test_a_socket_that_does_not_listen_is_refused(tmp_path: Path) -> None:
    """Law: a datagram socket, and one that was bound only, are told from a listening stream."""
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(tmp_path / "s"))
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagrams.bind(str(tmp_path / "d"))
    assert "ListenStream=" in told([bound], "api")
    assert "ListenStream=" in told([datagrams], "api")


def test_an_address_that_is_not_loopback_is_refused() -> None:
    """Law: a socket unit does not open to the network what the configuration may not."""
    assert "not loopback" in told([tcp_listener("0.0.0.0")], "http")  # noqa: S104 - that is the mistake


def test_names_that_do_not_match_the_count_are_refused(tmp_path: Path) -> None:
    """Law: an environment that contradicts itself is told, not guessed at."""
    assert "names 2 sockets" in told([unix_listener(tmp_path / "s")], "api:http")


def test_what_is_meant_for_another_process_is_left_alone() -> None:
    """Law: a variable that a parent left behind takes nothing over."""
    assert inherited({}) is NOTHING_PASSED
    assert inherited({"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1"}) is NOTHING_PASSED


@pytest.fixture
def unit(tmp_path: Path) -> tuple[socket.socket, socket.socket, list[str]]:
    """Give what a socket unit holds, and the command of its service."""
    command = ["-m", "daemon.cli.main", "serve", "--demo", "--history", str(tmp_path / "history.sqlite")]
    return unix_listener(tmp_path / "api.sock"), tcp_listener(), [*command, "--socket", str(tmp_path / "own.sock")]


def healthy(connection: http.client.HTTPConnection) -> bool:
    """Return whether a daemon answers; whoever asks waits in the socket's backlog until one is there."""
    connection.request("GET", "/healthz")
    alive = connection.getresponse().status == 200
    connection.close()
    return alive


def test_a_service_answers_whoever_called_before_it_started_and_again_after_a_restart(
    tmp_path: Path, unit: tuple[socket.socket, socket.socket, list[str]]
) -> None:
    """Law: the unit's sockets stay open and in place through stop and start, so that nobody is refused."""
    api, http_listener, command = unit
    early = UnixConnection(tmp_path / "api.sock")
    early.connect()
    for _ in range(2):
        process = handed([api, http_listener], "api:http", command, subprocess.DEVNULL)
        assert healthy(early)
        assert healthy(http.client.HTTPConnection("127.0.0.1", http_listener.getsockname()[1], timeout=30))
        process.terminate()
        assert process.wait(timeout=30) == 0
        assert (tmp_path / "api.sock").is_socket()
        early = UnixConnection(tmp_path / "api.sock")
        early.connect()
    assert not (tmp_path / "own.sock").exists()
    for opened in (api, http_listener):
        opened.close()
    early.close()
