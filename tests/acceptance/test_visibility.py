"""Nothing happens unseen: the story of a request, events as they happen, reports, rehearsals, alerts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.rigs.process import LAB, Daemon, UnixConnection, running

_DEGRADED = LAB.replace(
    "[workloads.chat]",
    '[workloads.chat]\ndegraded = { mode = "static", message = "Back soon.", status = 200 }\nmax_wait = "100ms"',
)


def _verb(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "daemon.cli.main", words[0], "--socket", str(daemon.socket), *words[1:]]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)  # noqa: S603, PLW1510


def _events(daemon: Daemon, url: str, headers: dict[str, str] | None = None) -> list[tuple[str, str, Any]]:
    text = daemon.ask("GET", f"/fairlead/v1/events?{url}", headers=headers).body.decode()
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


def test_a_rehearsed_fault_is_a_real_fallback_that_can_be_explained(tmp_path: Path) -> None:
    """The next request falls back, the one after does not, and `explain last` tells who ordered it."""
    with running(tmp_path, LAB) as daemon:
        ordered = _verb(daemon, "mock-fault", "chat", "overloaded")
        assert ordered.returncode == 0, ordered.stderr
        answer = daemon.chat("chat")
        assert (answer.status, answer.headers["fairlead-fallback-from"]) == (200, "one/m")
        story = _verb(daemon, "explain", "last")
        assert story.returncode == 0, story.stderr
        for words in ("CANDIDATE", "overloaded after", "to blame: ourselves", "a rehearsal that", "served by two/m"):
            assert words in story.stdout
        parts = json.loads(_verb(daemon, "explain", answer.headers["x-request-id"], "--json").stdout)
        assert parts["schema"] == "fairlead.explain/1"
        assert [attempt["target"] for attempt in parts["attempts"]] == ["one/m", "two/m"]
        assert parts["fallbacks"][0]["reason"].startswith("a rehearsal")
        assert "fairlead-fallback-from" not in daemon.chat("chat").headers
        assert daemon.target("one/m")["last_fault"] is None
        assert _verb(daemon, "explain", "chat").stdout.startswith("a request to chat would go to one/m")
        assert _verb(daemon, "explain", "req_nobody").returncode == 1
        assert _verb(daemon, "mock-fault", "chat", "cancelled").returncode == 2
        assert _verb(daemon, "mock-fault", "chaat", "timeout").returncode != 0


def test_events_replay_what_was_missed_over_a_restart(tmp_path: Path) -> None:
    """`Last-Event-ID` goes on where the client was, and nothing comes twice."""
    with running(tmp_path, LAB) as daemon:
        for _ in range(3):
            _verb(daemon, "mock-fault", "chat", "timeout")
            daemon.chat("chat")
        first = [event for event in _events(daemon, "since=1h&follow=0") if event[1] in {"fallback", "operation"}]
        assert [event[1] for event in first].count("fallback") == 3
        daemon.stop()
        daemon.start()
        rest = _events(daemon, "follow=0", {"last-event-id": first[2][0]})
        seen = [event for event in rest if event[1] in {"fallback", "operation"}]
        assert [event[0] for event in seen][: len(first) - 3] == [event[0] for event in first[3:]]
        assert daemon.ask("GET", "/fairlead/v1/events", headers={"last-event-id": "nonsense"}).status == 400
        assert daemon.ask("GET", "/fairlead/v1/events?since=yesterday").status == 400
        printed = _verb(daemon, "events", "--json")
        assert printed.returncode == 0, printed.stderr
        assert {json.loads(line)["schema"] for line in printed.stdout.splitlines()} == {"fairlead.events/1"}
        assert "chat: one/m -> two/m (timeout: a rehearsal" in _verb(daemon, "events").stdout


def test_who_follows_the_events_hears_them_at_once_and_holds_up_no_end(tmp_path: Path) -> None:
    """An event comes while the connection is open; a stop of the daemon ends the stream first."""
    with running(tmp_path, LAB) as daemon, contextlib.closing(UnixConnection(daemon.socket)) as connection:
        connection.request("GET", "/fairlead/v1/events")
        stream = connection.getresponse()
        assert stream.readline().startswith(b":")
        _verb(daemon, "drain", "one/m", "--reason", "upgrade")
        while b"event: operation" not in (line := stream.readline()):
            assert line
        assert b'"upgrade"' in stream.readline()
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 10
        assert not stream.read().endswith(b"data")


def test_following_ends_with_ctrl_c(tmp_path: Path) -> None:
    """Whoever follows leaves with the exit code of an interrupted program, and no traceback."""
    with running(tmp_path, LAB) as daemon:
        command = [sys.executable, "-m", "daemon.cli.main", "events", "--follow", "--since", "1h"]
        command += ["--socket", str(daemon.socket)]
        _verb(daemon, "drain", "one/m")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as following:  # noqa: S603
            assert following.stdout is not None
            assert following.stderr is not None
            while b"drain one/m" not in (line := following.stdout.readline()):
                assert line
            os.kill(following.pid, signal.SIGINT)
            assert following.wait(timeout=20) == 130
            assert b"Traceback" not in following.stderr.read()


def test_a_callers_own_calls_count_as_evidence(tmp_path: Path) -> None:
    """Three reported faults eject a target; a report of nothing, or of nobody, is refused."""
    with running(tmp_path, LAB) as daemon:
        for _ in range(3):
            told = _verb(daemon, "report", "one/m", "--fault", "timeout", "--latency-ms", "30000", "--reason", "mine")
            assert told.returncode == 0, told.stderr
        assert daemon.target("one/m")["standing"] == "cooling"
        assert daemon.chat("chat").headers["fairlead-target"] == "two/m"
        for body in (
            {"target": "one/m", "latency_ms": 5},
            {"target": "one/m", "latency_ms": -1, "ok": True},
            {"target": "one/m", "latency_ms": 5, "ok": True, "fault": "timeout"},
            {"target": "one/m", "latency_ms": 5, "fault": "bad luck"},
        ):
            assert daemon.ask("POST", "/fairlead/v1/report", body).status == 400
        unknown = daemon.ask("POST", "/fairlead/v1/report", {"target": "one/n", "latency_ms": 5, "ok": True})
        assert unknown.status == 404
        assert "one/m" in unknown.json()["detail"]


def test_a_total_failure_is_marked_everywhere_and_raises_an_alert(tmp_path: Path) -> None:
    """Header, body, status, history, log, event: an answer in place of one is never taken for one."""
    with running(tmp_path, _DEGRADED) as daemon:
        _verb(daemon, "mock-fault", "chat", "timeout", "--attempts", "3", "--count", "2")
        answer = daemon.chat("chat")
        assert (answer.status, answer.headers["fairlead-degraded"]) == (200, "static")
        assert answer.json()["choices"][0]["message"]["content"] == "Back soon."
        streamed = daemon.chat("chat", stream=True)
        assert streamed.headers["fairlead-degraded"] == "static"
        assert streamed.body.endswith(b"data: [DONE]\n\n")
        status = daemon.ask("GET", "/fairlead/v1/status").json()
        assert any("degraded answer" in problem for problem in status["problems"])
        told = [row for _, kind, row in _events(daemon, "since=1h&follow=0") if kind == "alert"]
        assert [(row["kind"], row["workload"]) for row in told] == [("total_failure", "chat")]
        story = json.loads(_verb(daemon, "explain", "last", "--json").stdout)
        assert (story["request"]["outcome"], story["request"]["degraded"]) == ("failed", "static")
        assert '"event": "alert"' in daemon.log.read_text().replace('"event":"alert"', '"event": "alert"')
