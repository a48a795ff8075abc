"""What the verbs say: where something is left out, and where something makes no sense."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from daemon.cli.main import main
from tests.rigs.process import LAB, Daemon, running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give a daemon with two simulated targets, one successful probe and 60 drains."""
    with running(tmp_path_factory.mktemp("d"), LAB) as one:
        assert one.ask("POST", "/fairlead/v1/targets/one/m/probe", {"kind": "canary"}).json()["ok"]
        for number in range(60):
            one.ask("POST", "/fairlead/v1/targets/two/m/drain", {"reason": f"drain{number}"})
        yield one


def test_events_say_what_they_leave_out_and_how_to_see_it(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: the last 50, without the probes that went well, and never in silence."""
    assert main(["events", "--socket", str(daemon.socket)]) == 0
    short = capsys.readouterr()
    assert len(short.out.splitlines()) == 50
    assert "drain59" in short.out
    assert "canary ok" not in short.out
    assert re.search(r"the last 50 of 6\d, without \d+ successful probes?; --since 1h shows all", short.err)
    assert main(["events", "--since", "1h", "--socket", str(daemon.socket)]) == 0
    whole = capsys.readouterr()
    assert whole.out.count("drain two/m") == 60
    assert "canary ok" in whole.out
    assert whole.err == ""


def test_events_as_json_hold_probes_too(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: a program gets everything that it asks for, and is told where that is not all."""
    assert main(["events", "--json", "--socket", str(daemon.socket)]) == 0
    printed = capsys.readouterr()
    assert len([json.loads(line) for line in printed.out.splitlines()]) == 50
    assert "the last 50 of" in printed.err
    assert "probe" not in printed.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("mock-fault chat timeout --count -3", "--count is -3; give 0 to 1000"),
        ("mock-fault chat timeout --count 1001", "--count is 1001; give 0 to 1000"),
        ("mock-fault chat timeout --attempts 0", "--attempts is 0; give 1 to 10"),
        ("report one/m --ok --latency-ms 5 --status 9", "--status is 9; give 100 to 599"),
        ("report one/m --ok --latency-ms -5", "--latency-ms is -5; give 0 to 86400000"),
        ("report one/m --ok --latency-ms nan", "--latency-ms is nan; give 0 to 86400000"),
        ("report one/m --ok --latency-ms 5 --status 500", "contradict"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error_in_plain_words(
    daemon: Daemon, capsys: pytest.CaptureFixture[str], words: str, told: str
) -> None:
    """Law: the option is named, with what it takes."""
    assert main([*words.split(), "--socket", str(daemon.socket)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "$" not in error


def test_whoever_asks_to_explain_nothing_known_is_told_what_there_is(
    daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    """Law: a workload's name or a request's id, and what either looks like."""
    assert main(["explain", "nosuch", "--socket", str(daemon.socket)]) == 1
    error = capsys.readouterr().err
    assert "there are chat" in error
    assert "begins with req_" in error
