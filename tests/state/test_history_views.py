"""The views, on a data set that fits on a page: now, and again after the raw rows are rolled up and gone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from state.faults import Fault
from state.history.migrations import open_history
from state.history.rows import OperationRow, ProbeRow
from state.outcome import Outcome, ProbeKind
from state.policy import HistoryPolicy
from state.standing import Standing
from state.targets import TargetName
from tests.rigs.histories import FLAKY, STEADY, attempt, every_row, fill, perform_chores, transition

HOUR = 3600.0
DAY = 86400.0
NOON = 1_750_075_200.0
"""Unix time of 2025-06-16T12:00:00Z."""
FOREVER = HistoryPolicy()


def raw(_: sqlite3.Connection) -> None:
    """Leave the rows as they are."""


def rolled_up(connection: sqlite3.Connection) -> None:
    """Roll the rows up, the day after."""
    perform_chores(connection, FOREVER, NOON + DAY)


def rolled_up_and_deleted(connection: sqlite3.Connection) -> None:
    """Roll the rows up; a year later none of them is left."""
    perform_chores(connection, FOREVER, NOON + DAY)
    perform_chores(connection, FOREVER, NOON + 365 * DAY)
    assert connection.execute("SELECT count(*) FROM attempt").fetchone() == (0,)


EVERY_AGE = pytest.mark.parametrize("age", [raw, rolled_up, rolled_up_and_deleted])


@pytest.fixture
def history(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Return a fresh history."""
    with closing(open_history(tmp_path / "history.sqlite")) as connection:
        yield connection


def rows(connection: sqlite3.Connection, sql: str) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    return connection.execute(sql).fetchall()


@EVERY_AGE
def test_latency_hourly_gives_the_nearest_rank_within_one_percent(
    history: sqlite3.Connection, age: Callable[[sqlite3.Connection], None]
) -> None:
    """Of 1 to 1000 ms the 50th, 95th and 99th percentiles are 500, 950 and 990; faults and other hours are apart."""
    fill(history, tuple(attempt(NOON + n / 1000, latency_s=n / 1000) for n in range(1, 1001)))
    fill(history, tuple(attempt(NOON, latency_s=30.0, fault=Fault.TIMEOUT) for _ in range(500)))
    fill(history, (attempt(NOON + HOUR, latency_s=2.0),))
    age(history)
    later, hour = rows(history, "SELECT hour, target, answers, p50_ms, p95_ms, p99_ms FROM latency_hourly")
    assert hour[:3] == ("2025-06-16T12:00:00Z", STEADY, 1000)
    assert hour[3:] == pytest.approx((500, 950, 990), rel=0.0105)
    assert later[:3] == ("2025-06-16T13:00:00Z", STEADY, 1)
    assert later[3:] == pytest.approx((2000, 2000, 2000), rel=0.0105)


@pytest.mark.parametrize("latency_s", [0.0, 0.00001, 0.001, 0.1234, 59.9, 600.0, 100_000.0])
def test_every_latency_has_a_bucket(history: sqlite3.Connection, latency_s: float) -> None:
    """From nothing to a day: between 0.1 ms and half an hour what is read back is at most 1 % off."""
    fill(history, (attempt(NOON, latency_s=latency_s),))
    ((p50,),) = rows(history, "SELECT p50_ms FROM latency_hourly")
    assert p50 == pytest.approx(min(max(latency_s * 1000, 0.1), 2_022_202), rel=0.0105)


def test_the_time_to_the_first_byte_has_its_own_percentiles(history: sqlite3.Connection) -> None:
    """Over the answers that had one."""
    outcome = Outcome(latency_s=9.0, first_byte_s=0.5, streamed=True)
    fill(history, (attempt(NOON, outcome=outcome), attempt(NOON, latency_s=1.0)))
    ((answers, p99, first_byte),) = rows(history, "SELECT answers, p99_ms, first_byte_p50_ms FROM latency_hourly")
    assert answers == 2
    assert (p99, first_byte) == pytest.approx((9000, 500), rel=0.0105)


@EVERY_AGE
def test_availability_daily_is_the_share_of_outcomes_that_did_what_was_asked(
    history: sqlite3.Connection, age: Callable[[sqlite3.Connection], None]
) -> None:
    """Attempts and probes count alike; what the client did wrong counts for nothing; each day is its own."""
    failed = Outcome(fault=Fault.UNREACHABLE)
    probes = (
        ProbeRow(at=NOON, target=STEADY, kind=ProbeKind.CATALOG, outcome=Outcome()),
        ProbeRow(at=NOON, target=STEADY, kind=ProbeKind.CATALOG, outcome=failed),
    )
    faults = (None, None, None, None, None, Fault.SERVER_ERROR, Fault.RATE_LIMITED, Fault.CANCELLED, Fault.AUTH)
    fill(history, (*probes, *(attempt(NOON, fault=fault) for fault in faults), attempt(NOON + DAY / 2)))
    fill(history, (attempt(NOON, target=FLAKY, fault=Fault.INVALID_REQUEST),))
    age(history)
    columns = "day, target, availability, attempts, failed_attempts, probes, failed_probes"
    assert rows(history, f"SELECT {columns} FROM availability_daily") == [  # noqa: S608
        ("2025-06-17", STEADY, 1.0, 1, 0, 0, 0),
        ("2025-06-16", FLAKY, None, 1, 0, 0, 0),
        ("2025-06-16", STEADY, pytest.approx(6 / 9), 9, 2, 2, 1),
    ]


def test_a_roll_up_done_twice_counts_nothing_twice(history: sqlite3.Connection) -> None:
    """Also where rows come between, and after an hour was closed."""
    fill(history, (attempt(NOON), attempt(NOON)))
    perform_chores(history, FOREVER, NOON + 60)
    fill(history, (attempt(NOON + 61),))
    perform_chores(history, FOREVER, NOON + 120)
    perform_chores(history, FOREVER, NOON + 2 * HOUR)
    fill(history, (attempt(NOON + 62, fault=Fault.TIMEOUT), attempt(NOON + 62)))
    for _ in range(2):
        assert rows(history, "SELECT attempts, failed_attempts FROM availability_daily") == [(5, 1)]
        assert rows(history, "SELECT answers FROM latency_hourly") == [(3,)]
        perform_chores(history, FOREVER, NOON + 2 * HOUR)


def test_outages_run_from_the_ejection_to_the_readmission(history: sqlite3.Connection) -> None:
    """Probation that fails again belongs to the same outage; the requests of its faults are hit, each once."""
    u, h, c, p = Standing.UNPROVEN, Standing.HEALTHY, Standing.COOLING, Standing.PROBATION
    fill(
        history,
        (
            transition(NOON - 500, u, h),
            transition(NOON, h, c, cause="3 faults in a row", until=NOON + 60),
            transition(NOON + 60, c, p),
            transition(NOON + 61, p, c, cause="the trial failed"),
            transition(NOON + 180, c, p),
            transition(NOON + 181, p, h),
            transition(NOON + 10, h, c, target=FLAKY, cause="unreachable"),
        ),
    )
    r, fault = "request_id", Fault.SERVER_ERROR
    fill(
        history,
        (
            attempt(NOON - 20, **{r: "before", "fault": fault}),
            attempt(NOON - 10),
            attempt(NOON - 3, **{r: "one", "fault": fault}),
            attempt(NOON - 2, **{r: "two", "fault": fault}),
            attempt(NOON, **{r: "two", "fault": fault}),
            attempt(NOON + 1, **{r: "theirs", "fault": Fault.CANCELLED}),
            attempt(NOON + 61, **{r: "three", "fault": fault}),
            attempt(NOON + 300, **{r: "after", "fault": fault}),
        ),
    )
    on, over = rows(history, "SELECT target, from_at, to_at, minutes, requests_hit, cause FROM outages")
    times = ("2025-06-16T12:00:00.000Z", "2025-06-16T12:03:01.000Z")
    assert over == (STEADY, *times, 3.02, 3, "3 faults in a row")
    assert on[:3] == (FLAKY, "2025-06-16T12:00:10.000Z", None)
    assert on[3] > 60
    assert on[4:] == (0, "unreachable")


def test_health_now_shows_each_target_with_its_standing_and_its_last_hour(history: sqlite3.Connection) -> None:
    """Also a target that has never changed its standing, and one that is only drained."""
    now = time.time()
    drain = OperationRow(at=now - 9, verb="drain", target=TargetName("lab/idle"), by="ada", reason="upgrade")
    over = msgspec.structs.replace(drain, target=FLAKY, until=now - 1)
    fill(
        history,
        (
            transition(now - 50, Standing.UNPROVEN, Standing.HEALTHY, cause="it answered"),
            transition(now - 40, Standing.HEALTHY, Standing.COOLING, until=now + 20),
            attempt(now - 5000, fault=Fault.TIMEOUT),
            attempt(now - 45),
            attempt(now - 41, fault=Fault.TIMEOUT),
            attempt(now - 30, target=FLAKY),
            drain,
            over,
        ),
    )
    found = rows(
        history,
        "SELECT target, standing, cause, drained, drain_reason, attempts_last_hour, failed_last_hour, "
        "last_fault_at IS NULL, cooling_until IS NULL FROM health_now",
    )
    assert found == [
        (FLAKY, "unproven", "", 0, "upgrade", 1, 0, 1, 1),
        ("lab/idle", "unproven", "", 1, "upgrade", 0, 0, 1, 1),
        (STEADY, "cooling", "3 faults in a row", 0, "", 2, 1, 0, 0),
    ]


def test_fallbacks_recent_and_slowest_requests_show_the_hundred_that_matter(history: sqlite3.Connection) -> None:
    """The newest fallbacks; the slowest requests of the last day."""
    now = time.time()
    request, fallback = every_row(now)[1], every_row(now)[4]
    replace = msgspec.structs.replace
    fill(history, tuple(replace(request, request_id=f"r{n}", latency_s=n / 10) for n in range(150)))
    fill(history, (replace(request, at=now - 2 * DAY, request_id="old", latency_s=99.0),))
    fill(history, tuple(replace(fallback, request_id=f"r{n}") for n in range(150)))
    slowest = rows(history, "SELECT request_id, latency_ms FROM slowest_requests")
    assert (len(slowest), slowest[0]) == (100, ("r149", 14900.0))
    assert slowest == sorted(slowest, key=lambda row: -row[1])
    recent = rows(history, "SELECT request_id, from_target, to_target, fault, after_ms FROM fallbacks_recent")
    assert (len(recent), recent[0]) == (100, ("r149", FLAKY, STEADY, "rate_limited", 150.0))


def test_rows_go_when_their_time_is_over_and_not_before(history: sqlite3.Connection) -> None:
    """Rows after 30 days, choices after 7, roll-ups after 400; the last standing and drain of a target never."""
    old = every_row(NOON)
    fill(history, (transition(NOON - 1, Standing.UNPROVEN, Standing.HEALTHY, target=FLAKY),))
    fill(history, (*(row for row in old if type(row).__name__ != "DecisionRow"),))
    history.execute(
        "INSERT INTO decision (at_ms, request_id, number, strategy, reason, candidates, seed) "  # noqa: S608
        f"VALUES ({NOON * 1000:.0f}, 'r', 1, '', '', '[]', 1)"
    )

    def left(days: float) -> dict[str, int]:
        perform_chores(history, FOREVER, NOON + days * DAY)
        tables = ("probe", "request", "attempt", "fallback", "transition", "operation", "decision", "evidence_hour")
        return {table: rows(history, f"SELECT count(*) FROM {table}")[0][0] for table in tables}  # noqa: S608

    raw_rows = {"probe": 1, "request": 1, "attempt": 1, "fallback": 1, "transition": 2, "operation": 1}
    assert left(6.9) == raw_rows | {"decision": 1, "evidence_hour": 2}
    assert left(29.9) == raw_rows | {"decision": 0, "evidence_hour": 2}
    gone = dict.fromkeys(raw_rows, 0) | {"transition": 1, "operation": 1, "decision": 0}
    assert left(30.1) == gone | {"evidence_hour": 2}
    assert rows(history, "SELECT after FROM transition") == [("cooling",)]
    assert left(399) == gone | {"evidence_hour": 2}
    assert left(401) == gone | {"evidence_hour": 0}
