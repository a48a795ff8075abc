"""Rows on their way into the file: nothing is lost of them, and nothing in them can hold the file up."""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.history.migrations import open_history
from state.history.rows import AlertRow, AttemptRow, OperationRow, RequestRow
from state.history.tables import Gap, SampledDecision
from state.outcome import Outcome, Usage
from tests.rigs.histories import FLAKY, STEADY, attempt, every_row, fill, in_memory

AT = 1_750_000_000.123
AT_MS = 1_750_000_000_123
WITHOUT_ID = {"reservation", "budget"}
EXPECTED: dict[str, dict[str, Any]] = {
    "probe": {"target": STEADY, "kind": "canary", "outcome": "failed", "fault": "rate_limited", "status": 429}
    | {"reason": "slow down", "first_byte_ms": 12.346, "latency_ms": 1500.0, "retry_after_ms": 2000.0}
    | {"cost_usd": 0.001},
    "request": {"request_id": "r1", "workload": "chat", "primary_target": FLAKY, "served_by": STEADY, "attempts": 2}
    | {"outcome": "ok", "fault": None, "status": 200, "degraded": "fallback", "streamed": 1, "first_byte_ms": 200.0}
    | {"latency_ms": 400.0, "prompt_tokens": 11, "completion_tokens": 22, "cost_usd": 0.5, "team": "search"}
    | {"user": "ada", "client_retry": 2, "purpose": "shadow", "label": "simple", "cached_tokens": 7, "best_usd": 0.75},
    "attempt": {"request_id": "r1", "number": 1, "target": FLAKY, "outcome": "failed", "fault": "rate_limited"}
    | {"status": 429, "reason": "slow down", "streamed": 1, "first_byte_ms": 12.346, "latency_ms": 1500.0}
    | {"retry_after_ms": 2000.0, "blame": "key", "hedge": 1, "workload": "chat", "team": "search", "user": "ada"}
    | {"purpose": "shadow", "prompt_tokens": 11, "completion_tokens": 22, "cached_tokens": 7, "cache_write_tokens": 3}
    | {"cost_usd": 0.25, "cost_estimated": 1},
    "decision": {"request_id": "r1", "number": 1, "chosen": FLAKY, "strategy": "lowest-latency", "reason": "fastest"}
    | {"candidates": '[{"target":"lab/flaky","score":0.1}]', "seed": 7, "sampled_of": 3}
    | {"setting": b"all that was known", "code": "0.1.0+abc"},
    "fallback": {"request_id": "r1", "workload": "chat", "from_target": FLAKY, "to_target": STEADY}
    | {"fault": "rate_limited", "status": 429, "reason": "slow down", "after_ms": 150.0, "cost_usd": 0.125},
    "transition": {"target": FLAKY, "before": "healthy", "after": "cooling", "cause": "3 faults in a row"}
    | {"until_ms": AT_MS + 4000, "ejections": 2},
    "operation": {"verb": "drain", "target": STEADY, "by": "ada", "reason": "upgrade", "until_ms": AT_MS + 60_000},
    "alert": {"kind": "total_failure", "workload": "chat", "target": None, "message": "nobody answered"},
    "reservation": {"request_id": "r1", "number": 1, "target": FLAKY, "workload": "chat", "team": "search"}
    | {"user": "ada", "purpose": "shadow", "usd": 0.5},
    "budget": {"name": "team-day", "subject": "search", "period": "day", "from_ms": AT_MS - 60_000}
    | {"to_ms": AT_MS + 60_000, "limit_usd": 10.0, "spent_usd": 2.5, "reserved_usd": 0.5},
    "comparison": {"request_id": "r1", "shadow_request_id": "r2", "workload": "chat", "target": FLAKY}
    | {"shadow_target": STEADY, "outcome": "ok", "shadow_outcome": "failed", "latency_ms": 100.0}
    | {"shadow_latency_ms": 300.0, "cost_usd": 0.25, "shadow_cost_usd": 0.5, "length": 40, "shadow_length": 50}
    | {"refused": 0, "shadow_refused": 1},
    "review": {"request_id": "r1", "workload": "chat", "target": STEADY, "team": "search", "user": "ada"}
    | {"sha256": "ab" * 32},
    "verdict": {"request_id": "r1", "verdict": "approved", "by": "ada", "reason": "fine"},
    "gap": {"from_ms": AT_MS - 2000, "to_ms": AT_MS - 1000, "count": 5, "cause": "disk full"},
}


def stored(tmp_path: Path, *rows: Any) -> sqlite3.Connection:
    """Return a history that holds `rows`."""
    connection = open_history(tmp_path / "history.sqlite")
    connection.row_factory = sqlite3.Row
    fill(connection, rows)
    return connection


@pytest.mark.parametrize("table", sorted(EXPECTED))
def test_every_field_of_a_row_reaches_its_column(tmp_path: Path, table: str) -> None:
    """Seconds become milliseconds, monotonic time becomes Unix time with its text, and the rest stays as it is."""
    rows: tuple[Any, ...] = tuple(
        SampledDecision(row, 3) if type(row).__name__ == "DecisionRow" else row for row in every_row(AT)
    )
    with closing(stored(tmp_path, *rows, Gap(AT, AT - 2, AT - 1, 5, "disk full"))) as connection:
        (found,) = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
    numbered = {} if table in WITHOUT_ID else {"id": 1}
    assert dict(found) == EXPECTED[table] | numbered | {"at_ms": AT_MS, "at": "2025-06-15T15:06:40.123Z"}


def test_candidates_are_json_that_sqlite_can_read(tmp_path: Path) -> None:
    """What was skipped and why is a question for SQL."""
    decision = SampledDecision(every_row(AT)[3], 1)
    with closing(stored(tmp_path, decision)) as connection:
        ((text,),) = connection.execute("SELECT candidates -> '$[0].target' FROM decision").fetchall()
    assert json.loads(text) == FLAKY


def test_a_row_that_the_schema_refuses_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """A bug elsewhere costs its own row."""
    wrong = msgspec.structs.replace(every_row(AT)[1], outcome="no such word")
    with closing(stored(tmp_path, attempt(AT), wrong, attempt(AT))) as connection:
        assert [len(connection.execute(f"SELECT id FROM {t}").fetchall()) for t in ("attempt", "request")] == [2, 0]  # noqa: S608


anything = st.text(st.characters(codec=None), max_size=20)
numbers = st.one_of(st.none(), st.integers(-(10**30), 10**30))
lengths = st.one_of(st.none(), st.floats())


@given(text=anything, number=numbers, length=lengths, seed=st.integers(0, 2**64 - 1))
def test_nothing_that_a_client_or_provider_sends_can_be_refused(
    text: str, number: int | None, length: float | None, seed: int
) -> None:
    """Lone surrogates, numbers of any size, latencies that are none: each row reaches the file."""
    request = RequestRow(
        at=AT,
        request_id=text,
        workload=text,
        primary_target=None,
        served_by=None,
        attempts=0,
        outcome="refused",
        status=400,
        first_byte_s=length,
        latency_s=length or 0.0,
        usage=Usage(number, number),
        team=text,
        user=text,
    )
    outcome = Outcome(reason=text, first_byte_s=length, latency_s=length or 0.0, retry_after_s=length)
    tried = AttemptRow(at=AT, request_id=text, number=1, target=STEADY, outcome=outcome)
    decision = SampledDecision(msgspec.structs.replace(every_row(AT)[3], seed=seed, candidates=b"[\xff]"), 1)
    with closing(in_memory()) as connection:
        fill(connection, (request, tried, decision))
        for table in ("request", "attempt", "decision"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)  # noqa: S608


@pytest.mark.parametrize("until", [1e308, -1e308, 1e16, math.inf, math.nan])
def test_no_time_however_far_is_refused_by_the_file(until: float) -> None:
    """A STRICT table takes 64 bits: what lies beyond becomes the last moment that it can hold."""
    with closing(in_memory()) as connection:
        row = OperationRow(at=1.0, verb="drain", target=STEADY, by="ada", until=until)
        fill(connection, (row, AlertRow(at=until, kind="credential", workload=None, target=STEADY, message="x")))
        ((at_ms, until_ms),) = connection.execute("SELECT at_ms, until_ms FROM operation").fetchall()
        assert at_ms == 1000
        assert until_ms is None or abs(until_ms) >= 1e18
        assert connection.execute("SELECT count(*) FROM alert").fetchone() == (1,)
