"""Requests with their attempts, read back in order of arrival, from files of every version."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from state.errors import HistoryError
from state.faults import Blame, Fault
from state.history.journeys import HourSummary, Journeys, RecordedAttempt, RecordedOperation, RecordedProbe
from state.history.migrations import APPLICATION_ID, open_history
from state.history.rows import DecisionRow, OperationRow, RequestRow
from state.outcome import Outcome
from tests.rigs.histories import STEADY, attempt, every_row, fill

SPAN = (0, 10**15)


def test_every_request_comes_once_in_order_however_many_arrived_at_once(tmp_path: Path) -> None:
    """A page ends in the middle of a millisecond, and nothing is lost or told twice."""
    rows = [_request(f"r{number}", at=(number // 700) / 1e3) for number in range(1400)]
    tries = [attempt(1.0, request_id=f"r{number}", number=place) for number in range(0, 1400, 7) for place in (2, 1)]
    path = _written(tmp_path, *rows, *tries)
    with closing(Journeys(path)) as journeys:
        read = list(journeys.requests(*SPAN))
    assert [request.request_id for request in read] == [f"r{number}" for number in range(1400)]
    assert [len(request.attempts) for request in read[:8]] == [2, 0, 0, 0, 0, 0, 0, 2]
    assert [each.number for each in read[0].attempts] == [1, 2]


def test_what_was_seen_besides_requests_comes_in_the_order_of_time(tmp_path: Path) -> None:
    """Probes, operations and the calls that callers reported; a request's own attempts are not told again."""
    told = [row for row in every_row(3.0) if not isinstance(row, DecisionRow)]
    reported = attempt(2.0, request_id="rep_1")
    path = _written(tmp_path, OperationRow(at=1.0, verb="resume", target=STEADY, by="ada"), reported, *told)
    with closing(Journeys(path)) as journeys:
        seen = list(journeys.observations(*SPAN))
        before, after = journeys.drains(2000), journeys.drains(10_000)
    assert [type(one) for one in seen] == [RecordedOperation, RecordedAttempt, RecordedProbe, RecordedOperation]
    assert [[one.verb for one in last] for last in (before, after)] == [["resume"], ["drain"]]


def test_an_hour_is_summed_up_without_those_whom_their_callers_left(tmp_path: Path) -> None:
    """Medians of those that succeeded and of those that failed, and the fault that was met most often."""
    left = Outcome(fault=Fault.CANCELLED, latency_s=9.0, at_fault=Blame.CALLER)
    path = _written(
        tmp_path,
        *(attempt(10.0 + number, latency_s=0.1 * number) for number in (1, 2, 3)),
        attempt(20.0, fault=Fault.TIMEOUT, latency_s=5.0),
        attempt(21.0, outcome=left),
        attempt(3600.0, latency_s=7.0),
    )
    with closing(Journeys(path)) as journeys:
        assert journeys.hour(STEADY, 0, 50_000) == HourSummary(4, 1, "timeout", 200.0, 5000.0)
        assert journeys.hour(STEADY, 1, 50_000) == HourSummary(0, 0, None, None, None)


def test_a_history_of_the_first_version_can_be_read(tmp_path: Path) -> None:
    """It knows no blame, no hedge and no setting: what is missing is unknown."""
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(resources.files("state.history").joinpath("schema.sql").read_text())
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(
            "INSERT INTO request (at_ms, request_id, workload, attempts, outcome, status, streamed, latency_ms) "
            "VALUES (1, 'r', 'chat', 1, 'ok', 200, 0, 5)"
        )
        connection.execute(
            "INSERT INTO attempt (at_ms, request_id, number, target, outcome, streamed, latency_ms) "
            "VALUES (6, 'r', 1, 'lab/steady', 'ok', 0, 5)"
        )
        connection.commit()
    with closing(Journeys(path)) as journeys:
        (request,) = journeys.requests(*SPAN)
    assert request.settings == {}
    assert (request.attempts[0].blame, request.attempts[0].hedge) == (None, 0)


def test_what_is_no_history_is_said_to_be_none(tmp_path: Path) -> None:
    """Another program's file is no history of requests."""
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE request (x)")
    with pytest.raises(HistoryError, match="not a history"):
        Journeys(path)


def _request(request_id: str, at: float) -> RequestRow:
    return RequestRow(
        at=at,
        request_id=request_id,
        workload="chat",
        primary_target=None,
        served_by=STEADY,
        attempts=1,
        outcome="ok",
        status=200,
        latency_s=0.1,
    )


def _written(folder: Path, *rows: object) -> Path:
    path = folder / "history.sqlite"
    with closing(open_history(path)) as connection:
        fill(connection, rows)
    return path
