"""A daemon that ends closes no connection on which its client is about to ask."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import anyio

from daemon.doors.guard.policy import DoorPolicy
from daemon.doors.keeper import Doorkeeper
from tests.rigs.process import LAB, Daemon, running, simulate
from tests.rigs.virtual_time import run_virtual


def _request(**more: object) -> bytes:
    body = json.dumps({"model": "chat", "messages": [{"role": "user", "content": "hello"}], **more}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"content-type: application/json\r\n\r\n" + body


def _told_to_end(daemon: Daemon) -> None:
    assert daemon.process is not None
    os.kill(daemon.process.pid, signal.SIGTERM)
    with daemon.log.open(encoding="utf-8") as log:
        while "stopping" not in log.read():
            os.sched_yield()


def test_a_request_that_follows_a_stream_is_answered_and_the_last_of_its_connection(tmp_path: Path) -> None:
    """Law: the stream began before the end and promised a kept connection; what comes on it meanwhile is heard."""
    with running(tmp_path, LAB) as daemon, socket.socket(socket.AF_UNIX) as client:
        simulate(daemon, "one", "m", latency_ms=5, tokens=40, tokens_per_second=80)
        client.connect(str(daemon.socket))
        client.settimeout(20)
        client.sendall(_request(stream=True))
        heard = client.recv(65536)
        _told_to_end(daemon)
        client.sendall(_request())
        while piece := client.recv(65536):
            heard += piece
    stream, _, last = heard.partition(b"data: [DONE]")
    assert b"connection: close" not in stream.lower()
    assert b"HTTP/1.1 200 OK" in last
    assert b"connection: close" in last.lower()
    assert b"simulated answer" in last


class _Kept:
    """A connection that is kept, and has been idle since a time, or not at all."""

    peer = "somebody"
    parting_since: float | None = None

    def __init__(self, idle_since: float | None, unread: int = 0) -> None:
        self.idle_since = idle_since
        self.unread = unread

    def displace(self) -> None: ...

    def resume(self) -> None: ...

    def abort(self) -> None: ...

    def tend(self, _: float) -> int:
        return self.unread


class _Uncounted:
    def turned_away(self, reason: str) -> None: ...


def _quiet_after(*guests: _Kept) -> float:
    """Return after how many seconds the connections may be closed; one that has a request under way ends it at 3 s."""

    async def wait() -> float:
        began = anyio.current_time()
        keeper = Doorkeeper(DoorPolicy(), lambda: anyio.current_time() - began, _Uncounted())
        for guest in guests:
            keeper.welcome(guest)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_end_requests, guests)
            await keeper.quiet()
            quiet_at = keeper.clock()
            tasks.cancel_scope.cancel()
        return quiet_at

    return run_virtual(wait)


async def _end_requests(guests: tuple[_Kept, ...]) -> None:
    await anyio.sleep(3)
    for guest in guests:
        guest.idle_since = 3 if guest.idle_since is None else guest.idle_since


def test_connections_are_closed_when_each_has_been_idle_for_a_moment() -> None:
    """Law: at once where all have been; else a quarter of a second after the last answer."""
    assert _quiet_after() == 0
    assert _quiet_after(_Kept(-60), _Kept(-1)) == 0
    assert 0.25 <= _quiet_after(_Kept(-60), _Kept(0)) < 0.31
    assert 3.25 <= _quiet_after(_Kept(-60), _Kept(None)) < 3.31


def test_who_reads_nothing_of_an_answer_is_waited_for_a_second() -> None:
    """Law: a client that does not read cannot hold up the end, whatever else is idle."""
    assert 1.0 <= _quiet_after(_Kept(-60), _Kept(None, unread=1000)) < 1.2
