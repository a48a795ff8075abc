"""The notification protocol, heard by a real datagram socket."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.service.notify import Notifier
from tests.rigs.notified import ServiceManager, listening


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    """Give a listening service manager."""
    with listening(tmp_path) as manager:
        yield manager


@pytest.fixture
def notifier(manager: ServiceManager) -> Iterator[Notifier]:
    """Give what speaks to the manager."""
    with closing(Notifier(manager.environment())) as notifier:
        yield notifier


def test_a_reload_is_told_with_the_time_at_which_it_began(manager: ServiceManager, notifier: Notifier) -> None:
    """Law: Type=notify-reload wants RELOADING with a monotonic time no earlier than its signal, and READY after it."""
    before = time.monotonic()
    notifier.reloading("reading")
    notifier.ready("fine")
    begun, ended = manager.take()
    assert (begun["RELOADING"], begun["STATUS"]) == ("1", "reading")
    assert before <= int(begun["MONOTONIC_USEC"]) / 1e6 <= time.monotonic()
    assert ended == {"READY": "1", "STATUS": "fine"}


def test_what_ends_is_not_ready_any_more(manager: ServiceManager, notifier: Notifier) -> None:
    """Law: a reload that ends after STOPPING was sent does not call the daemon ready."""
    notifier.stopping("ending")
    notifier.reloading("reading")
    notifier.ready("fine")
    assert manager.take() == [{"STOPPING": "1", "STATUS": "ending"}]


@given(st.text())
def test_no_status_can_hold_another_assignment(text: str) -> None:
    """Law: whatever a target is called, the manager reads one line, and no more of it than it takes."""
    with listening(Path(f"\0fairlead-{os.getpid()}-{threading.get_ident()}")) as manager:
        with closing(Notifier({"NOTIFY_SOCKET": f"@{str(manager.path)[1:]}"})) as notifier:
            notifier.status(text)
        (heard,) = manager.take()
        assert heard.keys() == {"STATUS"}
        assert len(heard["STATUS"].encode()) <= 2000


def test_what_must_not_be_lost_waits_for_room(manager: ServiceManager, notifier: Notifier) -> None:
    """Law: a manager that does not read holds nobody up; READY comes later, signs of life may be lost."""
    for _ in range(1000):
        notifier.alive()
    notifier.ready("fine")
    assert all(heard == {"WATCHDOG": "1"} for heard in manager.take())
    notifier.alive()
    assert manager.take() == [{"READY": "1", "STATUS": "fine"}, {"WATCHDOG": "1"}]


def test_a_flush_waits_until_everything_was_read(manager: ServiceManager, notifier: Notifier) -> None:
    """Law: it returns once the manager has taken the barrier, and sooner than its patience where nobody listens."""
    notifier.failed("cannot start", 22)
    reader = threading.Thread(target=manager.until, args=("BARRIER",))
    reader.start()
    notifier.flush()
    reader.join()
    assert manager.heard == [{"STATUS": "cannot start", "ERRNO": "22"}, {"BARRIER": "1"}]
    manager.close()
    notifier.flush()


def test_nobody_is_told_where_nobody_listens(tmp_path: Path) -> None:
    """Law: without a service manager, or with one that has gone, or of a kind that is not known, nothing fails."""
    for address in ("", str(tmp_path / "gone"), "vsock:2:1234"):
        with closing(Notifier({"NOTIFY_SOCKET": address})) as notifier:
            notifier.ready("fine")
            notifier.extend(1.0, "more")
            notifier.flush()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdogs_time_is_read_where_it_is_ours(environ: dict[str, str], expected: float | None) -> None:
    """Law: a watchdog that is meant for another process is none of ours."""
    assert Notifier(environ).watchdog_s == expected


def test_one_socket_serves_for_all(manager: ServiceManager, notifier: Notifier) -> None:
    """Law: a manager that knows its main process by its credentials hears every message from the same peer."""
    manager._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    notifier.alive()
    _, ancillary, _, _ = manager._socket.recvmsg(4096, 256)
    assert int.from_bytes(ancillary[0][2][:4], "little") == os.getpid()
