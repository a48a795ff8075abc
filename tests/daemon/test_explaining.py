"""The story of a request, as the daemon tells it and as the verb prints it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from daemon.cli.main import main
from state.faults import FAULT_RULES, Fault
from tests.rigs.process import LAB, Daemon, running

_EXPLAIN = "/fairlead/v1/explain"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give a daemon with two simulated targets."""
    with running(tmp_path_factory.mktemp("d"), LAB) as one:
        yield one


def _reported(daemon: Daemon, **how: object) -> str:
    answer = daemon.ask("POST", "/fairlead/v1/report", {"target": "two/m", "latency_ms": 7, **how})
    assert answer.status == 200, answer.body
    request_id: str = answer.json()["request_id"]
    return request_id


def test_a_request_is_explained_as_soon_as_its_answer_is_there(daemon: Daemon) -> None:
    """Law: whoever asks at once sees everything: what waits to be written is written first."""
    for _ in range(5):
        request_id = daemon.chat("chat").headers["x-request-id"]
        story = daemon.ask("GET", f"{_EXPLAIN}/{request_id}").json()
        assert story == daemon.ask("GET", f"{_EXPLAIN}/last").json()
        assert (story["request"]["request_id"], story["request"]["served_by"]) == (request_id, "one/m")
        assert [attempt["number"] for attempt in story["attempts"]] == [1]
        chosen = [decision["chosen"] for decision in story["decisions"]]
        assert chosen == [attempt["target"] for attempt in story["attempts"]]
        assert {candidate["target"] for candidate in story["decisions"][0]["candidates"]} == {"one/m", "two/m"}


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_is_told_with_whose_failure_it_was(daemon: Daemon, fault: Fault) -> None:
    """Law: blame comes from the table of faults; a report is a story of one attempt without a request."""
    story = daemon.ask("GET", f"{_EXPLAIN}/{_reported(daemon, fault=fault.value, status=500)}").json()
    (attempt,) = story["attempts"]
    assert (attempt["fault"], attempt["blame"]) == (fault.value, FAULT_RULES[fault].blame.value)
    assert (attempt["status"], attempt["latency_ms"]) == (500, 7.0)
    assert (story["request"], story["decisions"], story["fallbacks"]) == (None, [], [])


def test_a_reason_is_kept_as_one_line_of_200_characters(daemon: Daemon) -> None:
    """Law: a caller fills no history."""
    request_id = _reported(daemon, ok=True, reason="a\nb\x00c" * 1000)
    story = daemon.ask("GET", f"{_EXPLAIN}/{request_id}").json()
    assert story["attempts"][0]["reason"].startswith("a b c")
    assert len(story["attempts"][0]["reason"]) == 200


@pytest.mark.parametrize("what", ["req_'--", "a%27b", "x" * 81, "%00", "req_%20"])
def test_what_is_no_id_is_refused_before_it_reaches_the_history(daemon: Daemon, what: str) -> None:
    """Law: an id is letters, digits, `_` and `-`."""
    assert daemon.ask("GET", f"{_EXPLAIN}/{what}").status == 400


def test_an_unknown_id_says_why_it_may_be_unknown(daemon: Daemon) -> None:
    """Law: the error helps."""
    answer = daemon.ask("GET", f"{_EXPLAIN}/req_nobody")
    assert answer.status == 404
    assert "keep_rows" in answer.json()["detail"]


def test_the_verb_tells_of_requests_reports_and_workloads(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: a story for people, one versioned object for programs, and an exit code that tells the truth."""
    words = ["--socket", str(daemon.socket)]
    request_id = daemon.chat("chat").headers["x-request-id"]
    assert main(["explain", "last", *words]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{request_id} to chat at ")
    assert "served by one/m" in told
    assert main(["explain", _reported(daemon, fault="timeout"), *words]) == 0
    assert "two/m: -> timeout after 7 ms, to blame: provider" in capsys.readouterr().out
    for what in ("last", request_id, "chat"):
        assert main(["explain", what, "--json", *words]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert next(iter(printed.items())) == ("schema", "fairlead.explain/1")
    assert main(["explain", "req_nobody", *words]) == 1
    assert main(["explain", "no-such-workload", *words]) == 1
