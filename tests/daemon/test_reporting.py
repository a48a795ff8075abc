"""Reports of callers' own calls: who may say what, under whose name, and what is told of it."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from state.faults import FAULT_RULES, Fault, HealthEffect
from tests.rigs.process import LAB, Daemon, running

_REPORT = "/fairlead/v1/report"
_TWO_MODELS = LAB.replace('models = ["m"]', 'models = ["m", "n"]')


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give a daemon that can be reached over TCP too, with two models for each provider's key."""
    with running(tmp_path_factory.mktemp("d"), _TWO_MODELS, "--listen", "127.0.0.1:0") as one:
        yield one


def _over_tcp(daemon: Daemon, report: dict[str, Any]) -> tuple[int, Any]:
    found = re.search(r"listen.*?127\.0\.0\.1\W+(\d+)", daemon.log.read_text())
    assert found
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=20)) as connection:
        connection.request("POST", _REPORT, json.dumps(report))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def _reason(daemon: Daemon, request_id: str) -> str:
    story = daemon.ask("GET", f"/fairlead/v1/explain/{request_id}").json()
    reason: str = story["attempts"][0]["reason"]
    return reason


@pytest.mark.parametrize("fault", list(Fault))
def test_nobody_unknown_keeps_others_from_a_target(daemon: Daemon, fault: Fault) -> None:
    """Law: what blocks or refuses a target for an hour is believed from somebody with a name alone."""
    status, answer = _over_tcp(daemon, {"target": "two/n", "fault": fault.value, "latency_ms": 5})
    if FAULT_RULES[fault].health in {HealthEffect.BLOCKS, HealthEffect.REFUSES}:
        assert status == 403
        assert "Unix socket" in answer["detail"]
    else:
        assert status == 200
        assert _reason(daemon, answer["request_id"]) == "reported over TCP"
    assert daemon.target("two/n")["rate_limited_s"] is None


def test_a_report_says_who_made_it(daemon: Daemon) -> None:
    """Law: evidence has a name, however long its reason is."""
    for reason, kept in (("", ""), ("a 504", "a 504 "), ("x" * 500, "x")):
        report = {"target": "two/m", "ok": True, "latency_ms": 5, "reason": reason}
        told = _reason(daemon, daemon.ask("POST", _REPORT, report).json()["request_id"])
        assert told.startswith(kept)
        assert f"reported by {getpass.getuser()}" in told
        assert len(told) <= 200


def test_a_reported_key_is_told_of_once_for_all_its_models(daemon: Daemon) -> None:
    """Law: an operator hears of a refused key, whoever found out."""
    for target in ("one/m", "one/n", "one/m"):
        for fault in ("quota", "auth"):
            report = {"target": target, "fault": fault, "latency_ms": 5}
            assert daemon.ask("POST", _REPORT, report).status == 200
    answer = daemon.ask("POST", "/fairlead/v1/sql", {"query": "SELECT kind, target FROM alert"})
    assert answer.json()["rows"] == [["credential", "one/m"]]
