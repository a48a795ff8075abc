"""Installing over a service that is at work, in a booted system: nobody is refused."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.rigs.box import Box, why_not
from tests.rigs.clean_root import Unavailable, kept_root
from tests.rigs.process import UnixConnection

pytestmark = pytest.mark.skipif(
    not os.environ.get("FAIRLEAD_REQUIRE_PACKAGE"),
    reason="`make test-package` installs the package in a clean root: a minute, a network once, root",
)
_SOCKET = "/run/fairlead/fairlead.sock"
_ASKED = json.dumps({"model": "chat", "messages": [{"role": "user", "content": "hello"}]})


@pytest.fixture
def box(tmp_path: Path, given: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """Give a booted Debian without fairlead, with the packages at /given."""
    try:
        monkeypatch.setenv("FAIRLEAD_BOX_ROOT", str(kept_root()))
    except Unavailable as problem:
        pytest.fail(str(problem))
    if reason := why_not():
        (pytest.fail if os.environ.get("FAIRLEAD_REQUIRE_SYSTEMD") else pytest.skip)(reason)
    (tmp_path / "box").mkdir()
    machine = Box(tmp_path / "box", f"{given}:/given")
    try:
        machine.boot()
        yield machine
    finally:
        machine.stop()


class _Clients:
    """What somebody who does not stop asking has come to."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._ended = threading.Event()
        self.answered = 0
        self.failed: list[str] = []

    def ask_on(self) -> None:
        while not self._ended.is_set():
            try:
                self._ask()
            except (OSError, http.client.HTTPException) as problem:
                self.failed.append(repr(problem))

    def _ask(self) -> None:
        with closing(UnixConnection(self._socket)) as connection:
            connection.request("POST", "/v1/chat/completions", _ASKED, {"content-type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
        self.answered += 1
        self.failed += [] if answer.status == http.HTTPStatus.OK else [f"{answer.status} {body[:200]!r}"]

    def end(self) -> None:
        self._ended.set()


@contextmanager
def _asking(box: Box) -> Iterator[_Clients]:
    clients = _Clients(box.path(_SOCKET))
    threads = [threading.Thread(target=clients.ask_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        clients.end()
        for thread in threads:
            thread.join()


def _process(box: Box) -> str:
    return box.run("systemctl", "show", "--property=MainPID", "--value", "fairlead.service").stdout.strip()


def test_a_newer_package_is_put_in_force_and_refuses_nobody(box: Box) -> None:
    """Law: the package starts the service, an upgrade restarts it behind its open socket, a removal ends both."""
    box.run("dpkg", "-i", "/given/fairlead.deb")
    assert box.run("systemctl", "is-active", "fairlead.service", "fairlead.socket").stdout == "active\nactive\n"
    before = _process(box)
    with _asking(box) as clients:
        box.run("dpkg", "-i", "/given/newer.deb")
    assert (clients.failed, _process(box) == before) == ([], False)
    assert clients.answered
    box.run("dpkg", "-P", "fairlead")
    assert not box.path(_SOCKET).exists()
    assert box.run("systemctl", "list-units", "--no-legend", "fairlead*").stdout == ""


def test_make_install_over_itself_refuses_nobody(box: Box) -> None:
    """Law: it starts nothing that did not run, and restarts what did behind its open socket."""
    install = ("env", "WHEELS=/given/wheels", "/given/checkout/deploy/install.sh")
    box.run(*install)
    assert box.run("systemctl", "is-active", "fairlead.service", check=False).stdout == "inactive\n"
    box.run("systemctl", "enable", "--now", "fairlead.socket", "fairlead.service")
    before = _process(box)
    with _asking(box) as clients:
        box.run(*install)
    assert (clients.failed, _process(box) == before) == ([], False)
    assert clients.answered
    box.run("/given/checkout/deploy/uninstall.sh")
    assert not box.path(_SOCKET).exists()
    assert box.run("systemctl", "list-units", "--no-legend", "fairlead*").stdout == ""
