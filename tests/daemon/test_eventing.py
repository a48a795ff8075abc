"""The stream of events, and the verb that prints it, against a daemon of one's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPResponse
from pathlib import Path

import pytest

from daemon.cli.main import main
from tests.rigs.process import LAB, Daemon, UnixConnection, running

_EVENTS = "/fairlead/v1/events"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give a daemon with two simulated targets."""
    with running(tmp_path_factory.mktemp("d"), LAB) as one:
        yield one


def _following(daemon: Daemon, stack: ExitStack) -> HTTPResponse:
    connection = stack.enter_context(closing(UnixConnection(daemon.socket)))
    connection.request("GET", _EVENTS)
    return stack.enter_context(closing(connection.getresponse()))


def _until(stream: HTTPResponse, words: bytes) -> bytes:
    while words not in (line := stream.readline()):
        assert line, "the stream ended"
    return line


@pytest.mark.parametrize("verb", ["events", "explain", "report", "mock_fault"])
def test_a_verb_that_shows_what_happened_imports_no_server(verb: str) -> None:
    """Law: client verbs start fast, so they load neither aiohttp nor anyio."""
    heavy = "{'aiohttp', 'anyio', 'uvloop', 'structlog', 'aiosqlite', 'prometheus_client'}"
    code = f"import sys, daemon.cli.main, daemon.cli.{verb}; sys.exit(str({heavy} & set(sys.modules) or ''))"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)  # noqa: S603
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("last", ["nonsense", "f1", "f-1.t0.p0.o0.a0", "f1.t0.p0.o0.a0.x", "f" * 4000])
def test_an_id_that_no_event_has_is_refused(daemon: Daemon, last: str) -> None:
    """Law: nobody is told a wrong part of the history in silence."""
    assert daemon.ask("GET", f"{_EVENTS}?follow=0", headers={"last-event-id": last}).status == 400


@pytest.mark.parametrize("since", ["1", "-1s", "yesterday", "10%20m"])
def test_a_since_that_is_no_duration_is_refused(daemon: Daemon, since: str) -> None:
    """Law: a unit is never guessed."""
    assert daemon.ask("GET", f"{_EVENTS}?follow=0&since={since}").status == 400


def test_64_clients_follow_at_once_and_whoever_leaves_makes_room(daemon: Daemon) -> None:
    """Law: followers are bounded, and a place is never lost."""
    with ExitStack() as stack:
        streams = [_following(daemon, stack) for _ in range(64)]
        assert {stream.status for stream in streams} == {200}
        assert daemon.ask("GET", _EVENTS).status == 503
        daemon.ask("POST", "/fairlead/v1/targets/one/m/resume")
        for stream in streams:
            _until(stream, b"event: operation")
    for _ in range(200):
        if daemon.ask("GET", f"{_EVENTS}?follow=0").status == 200:
            return
    raise AssertionError("64 clients left, and their places did not come back")


def test_each_event_is_named_though_its_row_has_a_kind_of_its_own(
    daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    """Law: `--json` tells a probe's event from a probe's kind."""
    assert main(["probe", "one/m", "--kind", "canary", "--socket", str(daemon.socket)]) == 0
    capsys.readouterr()
    assert main(["events", "--since", "1h", "--json", "--socket", str(daemon.socket)]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"event": "probe", "kind": "canary"}.items() <= events[-1].items()


def test_an_event_is_one_line_and_nothing_in_it_turns_the_terminal(
    daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    """Law: what somebody gave as a reason is shown, never obeyed."""
    reason = "up\x1b[31mgrade\nnow \x9b2J\u202eto\u2028day"
    daemon.ask("POST", "/fairlead/v1/targets/one/m/drain", {"reason": reason, "for_s": 0.1})
    assert main(["events", "--socket", str(daemon.socket)]) == 0
    drains = [line for line in capsys.readouterr().out.split("\n") if "drain one/m" in line]
    assert drains
    assert all(line.isprintable() and line.endswith("day") for line in drains)


def test_a_follower_is_told_of_a_restart_and_then_of_what_it_missed(tmp_path: Path) -> None:
    """Law: `events --follow` goes on over restarts, with nothing twice and nothing lost."""
    command = [sys.executable, "-m", "daemon.cli.main", "events", "--follow", "--since", "1h", "--json"]
    with running(tmp_path, LAB) as daemon:
        daemon.ask("POST", "/fairlead/v1/targets/one/m/drain", {"reason": "first"})
        command += ["--socket", str(daemon.socket)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as follower:  # noqa: S603
            assert follower.stdout is not None
            assert follower.stderr is not None
            seen = [follower.stdout.readline()]
            while b'"first"' not in seen[-1]:
                seen.append(follower.stdout.readline())
                assert seen[-1]
            daemon.stop()
            assert b"waiting for it to come back" in follower.stderr.readline()
            daemon.start()
            daemon.ask("POST", "/fairlead/v1/targets/one/m/drain", {"reason": "second"})
            while b'"second"' not in seen[-1]:
                seen.append(follower.stdout.readline())
                assert seen[-1]
            os.kill(follower.pid, signal.SIGINT)
            assert follower.wait(timeout=20) == 130
        ids = [json.loads(line)["id"] for line in seen]
        assert len(ids) == len(set(ids))
        assert sum(b'"first"' in line for line in seen) == 1


def test_a_follower_without_a_daemon_ends_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: only a daemon that has answered is waited for."""
    assert main(["events", "--follow", "--socket", str(tmp_path / "none")]) == 3
    assert "fairlead serve" in capsys.readouterr().err
