"""Past the targets that fail, and never silently: the real process, its real sockets, its real history."""

from __future__ import annotations

import json
from pathlib import Path

from state.history.inspection import QueryLimits, query
from tests.rigs.process import LAB, Daemon, running, simulate


def _rows(daemon: Daemon, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in query(daemon.history, sql, limits=QueryLimits()).rows]


def test_a_fallback_is_in_the_headers_the_log_the_metrics_and_the_history(tmp_path: Path) -> None:
    """Law: whoever looks anywhere sees that another target answered, and why."""
    with running(tmp_path, LAB) as daemon:
        simulate(daemon, "one", "m", outage="refuse")
        answer = daemon.chat("chat")
        assert answer.status == 200
        assert answer.headers["fairlead-target"] == "two/m"
        assert answer.headers["fairlead-attempts"] == "2"
        assert answer.headers["fairlead-fallback-from"] == "one/m"
        assert answer.headers["fairlead-degraded"] == "fallback"
        assert answer.headers["fairlead-fallback-reason"]
        metrics = daemon.ask("GET", "/metrics").body.decode()
        assert 'fairlead_fallbacks_total{fault="' in metrics
        daemon.stop()
        request_id = answer.headers["x-request-id"]
        rows = _rows(daemon, "SELECT request_id, workload, from_target, to_target FROM fallback")
        assert rows == [(request_id, "chat", "one/m", "two/m")]
        assert _rows(daemon, "SELECT number, target FROM attempt ORDER BY number") == [(1, "one/m"), (2, "two/m")]
        logged = [json.loads(line) for line in daemon.log.read_text().splitlines() if line.startswith("{")]
        events = [line for line in logged if line["event"] == "fallback"]
        assert events[0]["primary"] == "one/m"
        assert events[0]["fallback"] == "two/m"


def test_an_invalid_request_goes_to_the_client_at_once(tmp_path: Path) -> None:
    """Law: what the client must mend is tried at one target only."""
    with running(tmp_path, LAB) as daemon:
        simulate(daemon, "one", "m", faults={"auth": 1.0})
        answer = daemon.chat("chat")
        assert answer.status == 401
        assert answer.headers["fairlead-attempts"] == "1"


def test_when_every_target_fails_the_error_names_each_and_forbids_retries(tmp_path: Path) -> None:
    """Law: the last word tells who was tried and what each said."""
    with running(tmp_path, LAB) as daemon:
        simulate(daemon, "one", "m", outage="refuse")
        simulate(daemon, "two", "m", outage="refuse")
        answer = daemon.chat("chat")
        assert answer.status in {502, 503}
        assert answer.headers["x-should-retry"] == "false"
        message = answer.json()["error"]["message"]
        assert "one/m" in message
        assert "two/m" in message


def test_a_client_that_forbids_fallbacks_gets_none(tmp_path: Path) -> None:
    """Law: `fairlead-no-fallback` keeps a request at its first target."""
    with running(tmp_path, LAB) as daemon:
        simulate(daemon, "one", "m", outage="refuse")
        body = {"model": "chat", "messages": [{"role": "user", "content": "x"}]}
        answer = daemon.ask("POST", "/v1/chat/completions", body, {"fairlead-no-fallback": "1"})
        assert answer.status >= 500
        assert answer.headers["fairlead-target"] == "one/m"
        assert "fairlead-fallback-from" not in answer.headers


def test_a_target_that_keeps_failing_is_ejected_and_passed_over(tmp_path: Path) -> None:
    """Law: after `fall` faults requests go straight to the next target, and still say so."""
    with running(tmp_path, LAB) as daemon:
        simulate(daemon, "one", "m", outage="refuse")
        answers = [daemon.chat("chat") for _ in range(4)]
        assert {answer.status for answer in answers} == {200}
        assert answers[-1].headers["fairlead-attempts"] == "1"
        assert answers[-1].headers["fairlead-fallback-from"] == "one/m"
        assert daemon.target("one/m")["standing"] == "cooling"


def test_a_bare_target_has_no_fallback(tmp_path: Path) -> None:
    """Law: `provider/model` means that target alone."""
    with running(tmp_path, LAB) as daemon:
        simulate(daemon, "one", "m", outage="refuse")
        assert daemon.chat("one/m").status >= 500
        assert daemon.chat("two/m").headers["fairlead-target"] == "two/m"
