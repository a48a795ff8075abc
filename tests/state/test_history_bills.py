"""The views about money and care: now, after the rows are rolled up, and after those are gone."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from state.durations import Seconds
from state.faults import Fault
from state.history.charges import BudgetRow, Charged, ComparisonRow, ReservationRow, ReviewRow, VerdictRow
from state.history.migrations import open_history
from state.history.retention import chores
from state.history.rows import AttemptRow, RequestRow
from state.outcome import Outcome, Usage
from state.policy import HistoryPolicy
from state.targets import TargetName
from tests.rigs.histories import FLAKY, STEADY, attempt, fill, in_memory, perform_chores

DAY = 86400.0
NOON = 1_750_075_200.0
"""Unix time of 2025-06-16T12:00:00Z."""
FOREVER = HistoryPolicy()
SEARCH = Charged("chat", "search", "ada")


def raw(_: sqlite3.Connection) -> None:
    """Leave the rows as they are."""


def rolled_up(connection: sqlite3.Connection) -> None:
    """Roll the rows up, the day after."""
    perform_chores(connection, FOREVER, NOON + DAY)


def rolled_up_and_deleted(connection: sqlite3.Connection) -> None:
    """Roll the rows up; a year later none of them is left."""
    perform_chores(connection, FOREVER, NOON + 365 * DAY)
    assert (
        rows(connection, "SELECT count(*) FROM attempt") == rows(connection, "SELECT count(*) FROM request") == [(0,)]
    )


EVERY_AGE = pytest.mark.parametrize("age", [raw, rolled_up, rolled_up_and_deleted])


@pytest.fixture
def history(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Return a fresh history."""
    with closing(open_history(tmp_path / "history.sqlite")) as connection:
        yield connection


def rows(connection: sqlite3.Connection, sql: str) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    return connection.execute(sql).fetchall()


def charge(at: float, usd: float | None, charged: Charged = SEARCH, target: TargetName = STEADY) -> AttemptRow:
    """Return an attempt that cost `usd` for 10 tokens and 5."""
    outcome = Outcome(latency_s=0.1, usage=Usage(10, 5))
    return AttemptRow(at=at, request_id="r", number=1, target=target, outcome=outcome, charged=charged, cost_usd=usd)


def request(at: float, usd: float | None, best_usd: float | None, **changes: Any) -> RequestRow:
    """Return a request that cost `usd`, and `best_usd` at the costliest target."""
    row = RequestRow(
        at=at,
        request_id="r",
        workload="chat",
        primary_target=STEADY,
        served_by=STEADY,
        attempts=1,
        outcome="ok",
        status=200,
        latency_s=0.1,
        cost_usd=usd,
        best_usd=best_usd,
    )
    return replace(row, **changes)


@EVERY_AGE
def test_spend_daily_says_who_spent_what_and_what_is_not_known(
    history: sqlite3.Connection, age: Callable[[sqlite3.Connection], None]
) -> None:
    """An unknown cost is counted and never 0; calls that were only reported are nobody's bill; each day is its own."""
    nobody, shadow = Charged("chat"), Charged("chat", "search", "ada", "shadow")
    fill(history, (charge(NOON, 0.25), charge(NOON + 1, 0.5), charge(NOON + 901, None), charge(NOON + DAY / 2, 1.0)))
    fill(
        history,
        (charge(NOON, 2.0, shadow, FLAKY), charge(NOON, None, nobody, FLAKY), charge(NOON, None, nobody, FLAKY)),
    )
    fill(history, (attempt(NOON, request_id="rep_1"), attempt(NOON, charged=nobody, cost_usd=0.0, fault=Fault.TIMEOUT)))
    age(history)
    columns = "day, workload, team, user, target, purpose, attempts, prompt_tokens, completion_tokens, usd, unpriced"
    assert rows(history, f"SELECT {columns} FROM spend_daily") == [  # noqa: S608
        ("2025-06-17", "chat", "search", "ada", STEADY, "client", 1, 10, 5, 1.0, 0),
        ("2025-06-16", "chat", "search", "ada", FLAKY, "shadow", 1, 10, 5, 2.0, 0),
        ("2025-06-16", "chat", "search", "ada", STEADY, "client", 3, 30, 15, 0.75, 1),
        ("2025-06-16", "chat", None, None, STEADY, "client", 1, 0, 0, 0.0, 0),
        ("2025-06-16", "chat", None, None, FLAKY, "client", 2, 20, 10, None, 2),
    ]


@EVERY_AGE
def test_savings_daily_compares_only_what_is_known_of_both(
    history: sqlite3.Connection, age: Callable[[sqlite3.Connection], None]
) -> None:
    """Requests without either figure, copies and fairlead's own questions are left out."""
    known = (
        request(NOON, 0.25, 1.0),
        request(NOON + 1000, 0.5, 1.0, team="search"),
        request(NOON, 0.0, 0.0, workload="x"),
    )
    apart = (request(NOON, None, 9.0), request(NOON, 9.0, None), request(NOON, 9.0, 9.0, purpose="classify"))
    fill(history, known + apart)
    age(history)
    assert rows(history, "SELECT * FROM savings_daily") == [
        ("2025-06-16", "chat", 2, 0.75, 2.0, 1.25, 62.5),
        ("2025-06-16", "x", 1, 0.0, 0.0, 0.0, None),
    ]


SHARES = st.lists(st.tuples(st.integers(0, 7200), st.one_of(st.none(), st.integers(0, 1000))), max_size=12)


@given(batches=st.lists(SHARES, max_size=5))
def test_the_sum_of_the_views_is_the_sum_of_the_rows_whenever_they_are_rolled_up(
    batches: list[list[tuple[int, int | None]]],
) -> None:
    """Nothing is counted twice or not at all, whatever comes between two rounds and however late."""
    with closing(in_memory()) as connection:
        costs = []
        for number, batch in enumerate(batches):
            fill(connection, tuple(charge(NOON + at, None if n is None else n / 64) for at, n in batch))
            fill(connection, tuple(request(NOON + at, None if n is None else n / 64, 1.0) for at, n in batch))
            costs += [n / 64 for _, n in batch if n is not None]
            if number % 2:
                perform_chores(connection, FOREVER, NOON + 60.0 * number)
        count = sum(map(len, batches))
        ((attempts, unpriced, usd),) = rows(
            connection, "SELECT total(attempts), total(unpriced), total(usd) FROM spend_daily"
        )
        assert (attempts, unpriced, usd) == (count, count - len(costs), math.fsum(costs))
        ((requests, saved),) = rows(connection, "SELECT total(requests), total(usd) FROM savings_daily")
        assert (requests, saved) == (len(costs), math.fsum(costs))


def test_no_row_goes_before_it_is_rolled_up(history: sqlite3.Connection) -> None:
    """However short rows are kept: what a slice left over is counted in the next round, and goes after that."""
    fill(history, tuple(request(NOON, 0.25, 1.0) for _ in range(2400)))
    short = HistoryPolicy(keep_rows=Seconds(1), keep_decisions=Seconds(1))
    first = chores(short, round((NOON + DAY) * 1000))
    for chore in first:  # each once, as if the daemon were ended there
        for statement in chore.statements:
            history.execute(statement, chore.parameters)
    assert rows(history, "SELECT count(*) FROM request") == [(1900,)]
    assert rows(history, "SELECT requests, usd FROM savings_daily") == [(2400, 600.0)]
    perform_chores(history, short, NOON + DAY)
    assert rows(history, "SELECT count(*) FROM request") == [(0,)]
    assert rows(history, "SELECT requests, usd FROM savings_daily") == [(2400, 600.0)]


def test_roll_ups_of_money_go_with_the_others(history: sqlite3.Connection) -> None:
    """After `keep_rollups`."""
    fill(history, (charge(NOON, 1.0), request(NOON, 1.0, 2.0)))
    for days, left in ((399, 1), (401, 0)):
        perform_chores(history, FOREVER, NOON + days * DAY)
        assert rows(history, "SELECT count(*) FROM spend") == rows(history, "SELECT count(*) FROM saving") == [(left,)]


def test_what_budgets_look_back_on_is_kept_however_short_roll_ups_are(history: sqlite3.Connection) -> None:
    """A month's budget must not start anew because somebody wants a small file."""
    fill(history, (charge(NOON, 1.0),))
    short = HistoryPolicy(keep_rows=Seconds(60), keep_rollups=Seconds(60))
    perform_chores(history, short, NOON + 31 * DAY)
    assert rows(history, "SELECT usd FROM spend_daily") == [(1.0,)]
    perform_chores(history, short, NOON + 33 * DAY)
    assert rows(history, "SELECT usd FROM spend_daily") == []


def test_a_reservation_goes_once_its_attempt_is_written_and_else_stays(history: sqlite3.Connection) -> None:
    """One whose attempt was killed with the daemon is money that may have been spent; one taken back is none."""
    mine = ReservationRow(at=NOON, request_id="r", number=1, target=STEADY, charged=SEARCH, usd=0.5)
    fill(history, (mine, replace(mine, number=2), charge(NOON + 1, 0.25), replace(mine, number=3, usd=0.0)))
    perform_chores(history, FOREVER, NOON + 200)
    assert rows(history, "SELECT count(*) FROM reservation") == [(3,)]
    perform_chores(history, FOREVER, NOON + 400)
    assert rows(history, "SELECT request_id, number, usd FROM reservation") == [("r", 2, 0.5)]
    perform_chores(history, FOREVER, NOON + 401 * DAY)
    assert rows(history, "SELECT count(*) FROM reservation") == [(0,)]


def test_budgets_now_show_what_is_left_and_no_spending_of_a_period_that_is_over(history: sqlite3.Connection) -> None:
    """A restart after midnight has written nothing down yet."""
    now = time.time()
    today = BudgetRow(
        at=now,
        name="day",
        subject="search",
        period="day",
        from_unix=now - 60,
        to_unix=now + 60,
        limit_usd=10.0,
        spent_usd=2.5,
        reserved_usd=0.5,
    )
    over = replace(today, subject="sales", to_unix=now - 5)
    spent = replace(today, subject="all", spent_usd=10.5)
    fill(history, (today, over, spent))
    columns = "subject, period, limit_usd, spent_usd, reserved_usd, left_usd, percent, from_at IS NULL, to_at IS NULL"
    assert rows(history, f"SELECT {columns} FROM budgets_now") == [  # noqa: S608
        ("all", "day", 10.0, 10.5, 0.5, 0.0, 105.0, 0, 0),
        ("sales", "day", 10.0, 0.0, 0.0, 10.0, 0.0, 1, 1),
        ("search", "day", 10.0, 2.5, 0.5, 7.0, 25.0, 0, 0),
    ]


def test_an_answer_waits_until_somebody_has_looked_at_it_however_long_that_takes(history: sqlite3.Connection) -> None:
    """Decided ones go with the other rows, their verdicts behind them: none comes back to wait again."""
    answers = [ReviewRow(at=NOON, request_id=f"r{n}", target=STEADY, charged=SEARCH, sha256="ab") for n in range(3)]
    fill(history, (*answers, VerdictRow(at=NOON + 1, request_id="r1", verdict="rejected", by="ada")))
    assert [row[0] for row in rows(history, "SELECT request_id FROM pending_reviews")] == ["r0", "r2"]
    perform_chores(history, FOREVER, NOON + 31 * DAY)
    assert rows(history, "SELECT request_id, team FROM pending_reviews") == [("r0", "search"), ("r2", "search")]
    assert rows(history, "SELECT count(*) FROM review") == [(2,)]
    assert rows(history, "SELECT count(*) FROM verdict") == [(0,)]


def test_the_first_verdict_on_an_answer_holds(history: sqlite3.Connection) -> None:
    """A second one is refused by the file itself."""
    first = VerdictRow(at=NOON, request_id="r", verdict="approved", by="ada")
    fill(history, (first, replace(first, verdict="rejected", by="bob")))
    assert rows(history, "SELECT verdict, by FROM verdict") == [("approved", "ada")]


def test_shadow_summary_says_how_copies_differ_where_both_are_known(history: sqlite3.Connection) -> None:
    """An unknown cost makes no difference of 0."""
    pair = ComparisonRow(
        at=NOON,
        request_id="r",
        shadow_request_id="s",
        workload="chat",
        target=STEADY,
        shadow_target=FLAKY,
        outcome="ok",
        shadow_outcome="ok",
        latency_s=0.1,
        shadow_latency_s=0.3,
        cost_usd=0.5,
        shadow_cost_usd=0.25,
        length=10,
        shadow_length=30,
        refused=False,
        shadow_refused=True,
    )
    blind = replace(pair, shadow_cost_usd=None, shadow_outcome="failed", shadow_length=None, shadow_refused=None)
    fill(history, (pair, blind))
    assert rows(history, "SELECT * FROM shadow_summary") == [
        ("chat", STEADY, FLAKY, 2, 2, 1, 200.0, -0.25, 1, 20.0, 0, 1)
    ]
