"""Histories to test with: rows of each kind, a recorder at work, and a plain reader."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from state.faults import Fault
from state.history.charges import BudgetRow, Charged, ComparisonRow, ReservationRow, ReviewRow, VerdictRow
from state.history.recorder import Recorder, RecorderState
from state.history.retention import chores
from state.history.rows import (
    AlertRow,
    AttemptRow,
    DecisionRow,
    FallbackRow,
    FlushRequested,
    OperationRow,
    ProbeRow,
    RecorderMessage,
    RequestRow,
    TransitionRow,
)
from state.history.tables import INSERTS, Row, inserts_of
from state.mailbox import Mailbox, Reply
from state.outcome import Outcome, ProbeKind, Usage
from state.policy import HistoryPolicy
from state.standing import Standing
from state.targets import TargetName

__all__ = [
    "STEADY",
    "Recording",
    "attempt",
    "every_row",
    "fill",
    "in_memory",
    "perform_chores",
    "read",
    "recording",
    "transition",
]

STEADY = TargetName("lab/steady")
FLAKY = TargetName("lab/flaky")
WALL = 1_750_000_000.0
"""The Unix time that the rig's wall clock shows when the monotonic clock shows 0."""


class Packed(NamedTuple):
    """Something to be recorded that is bytes already."""

    held: bytes

    def packed(self) -> bytes:
        """Return them."""
        return self.held


def wall() -> float:
    """Return the rig's Unix time: a fixed distance from the monotonic clock."""
    return WALL + anyio.current_time()


def attempt(at: float, **changes: Any) -> AttemptRow:
    """Return an attempt at `STEADY` that succeeded in 100 ms, with `changes`."""
    outcome = Outcome(fault=changes.pop("fault", None), latency_s=changes.pop("latency_s", 0.1))
    return AttemptRow(**{"at": at, "request_id": "r", "number": 1, "target": STEADY, "outcome": outcome} | changes)


def transition(at: float, before: Standing, after: Standing, **changes: Any) -> TransitionRow:
    """Return a change of standing of `STEADY`, with `changes`."""
    fields = {"at": at, "target": STEADY, "before": before, "after": after, "cause": "3 faults in a row", "until": None}
    return TransitionRow(**fields | changes)


def every_row(at: float) -> tuple[Any, ...]:
    """Return one row of each kind that actors post, with every field set."""
    usage = Usage(
        prompt_tokens=11, completion_tokens=22, cached_tokens=7, cache_write_tokens=2, cache_write_1h_tokens=1
    )
    outcome = Outcome(
        fault=Fault.RATE_LIMITED,
        status=429,
        reason="slow down",
        first_byte_s=0.0123456,
        latency_s=1.5,
        retry_after_s=2.0,
        streamed=True,
        usage=usage,
    )
    charged = Charged("chat", "search", "ada", "shadow")
    return (
        ProbeRow(at=at, target=STEADY, kind=ProbeKind.CANARY, outcome=outcome, cost_usd=0.001),
        RequestRow(
            at=at,
            request_id="r1",
            workload="chat",
            primary_target=FLAKY,
            served_by=STEADY,
            attempts=2,
            outcome="ok",
            fault=None,
            status=200,
            degraded="fallback",
            first_byte_s=0.2,
            latency_s=0.4,
            usage=usage,
            cost_usd=0.5,
            team="search",
            user="ada",
            client_retry=2,
            streamed=True,
            best_usd=0.75,
            purpose="shadow",
            label="simple",
        ),
        AttemptRow(
            at=at,
            request_id="r1",
            number=1,
            target=FLAKY,
            outcome=outcome,
            hedge=True,
            charged=charged,
            cost_usd=0.25,
            cost_estimated=True,
        ),
        DecisionRow(
            at=at,
            request_id="r1",
            number=1,
            chosen=FLAKY,
            strategy="lowest-latency",
            reason="fastest",
            candidates=b'[{"target":"lab/flaky","score":0.1}]',
            seed=7,
            setting=Packed(b"all that was known"),
            code="0.1.0+abc",
        ),
        FallbackRow(
            at=at,
            request_id="r1",
            workload="chat",
            from_target=FLAKY,
            to_target=STEADY,
            fault=Fault.RATE_LIMITED,
            status=429,
            reason="slow down",
            after_s=0.15,
            cost_usd=0.125,
        ),
        transition(at, Standing.HEALTHY, Standing.COOLING, target=FLAKY, until=at + 4, ejections=2),
        OperationRow(at=at, verb="drain", target=STEADY, by="ada", reason="upgrade", until=at + 60),
        AlertRow(at=at, kind="total_failure", workload="chat", target=None, message="nobody answered"),
        *_every_charge(at, charged),
    )


def _every_charge(at: float, charged: Charged) -> tuple[Any, ...]:
    """Return one row of each kind about money and care, with every field set."""
    return (
        ReservationRow(at=at, request_id="r1", number=1, target=FLAKY, charged=charged, usd=0.5),
        BudgetRow(
            at=at,
            name="team-day",
            subject="search",
            period="day",
            from_unix=at - 60,
            to_unix=at + 60,
            limit_usd=10.0,
            spent_usd=2.5,
            reserved_usd=0.5,
        ),
        ComparisonRow(
            at=at,
            request_id="r1",
            shadow_request_id="r2",
            workload="chat",
            target=FLAKY,
            shadow_target=STEADY,
            outcome="ok",
            shadow_outcome="failed",
            latency_s=0.1,
            shadow_latency_s=0.3,
            cost_usd=0.25,
            shadow_cost_usd=0.5,
            length=40,
            shadow_length=50,
            refused=False,
            shadow_refused=True,
        ),
        ReviewRow(at=at, request_id="r1", target=STEADY, charged=charged, sha256="ab" * 32),
        VerdictRow(at=at, request_id="r1", verdict="approved", by="ada", reason="fine"),
    )


def in_memory() -> sqlite3.Connection:
    """Return an empty history that costs no file."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for step in ("schema.sql", "step2.sql", "step3.sql", "step4.sql", "views.sql", "bills.sql"):
        connection.executescript(resources.files("state.history").joinpath(step).read_text())
    return connection


def fill(connection: sqlite3.Connection, rows: tuple[Row, ...], offset_s: float = 0.0) -> None:
    """Insert rows as the recorder does, in one transaction."""
    connection.execute("BEGIN")
    for table, values in inserts_of(rows, offset_s).items():
        connection.executemany(INSERTS[table], values)
    connection.execute("COMMIT")


def perform_chores(connection: sqlite3.Connection, policy: HistoryPolicy, now: float) -> None:
    """Do what the recorder does between two flushes, until there is nothing left to do."""
    for chore in chores(policy, round(now * 1000)):
        more = 1
        while more:
            for statement in chore.statements:
                connection.execute(statement, chore.parameters)
            ((more,),) = connection.execute(chore.more, chore.parameters).fetchall()


def read(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return what an ordinary read-only reader of the file finds."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


class Recording:
    """A recorder at work, seen from outside."""

    def __init__(self, mailbox: Mailbox[RecorderMessage], recorder: Recorder) -> None:
        """Watch `recorder`."""
        self.mailbox = mailbox
        self.recorder = recorder

    @property
    def state(self) -> RecorderState:
        """What the recorder says of itself."""
        return self.recorder.state

    def post(self, *messages: RecorderMessage) -> None:
        """Send rows."""
        for message in messages:
            self.mailbox.put(message)

    async def flush(self) -> bool:
        """Return whether everything that waited reached the file."""
        reply: Reply[bool] = Reply()
        self.post(FlushRequested(reply=reply))
        return await reply.wait()


@asynccontextmanager
async def recording(
    path: Path,
    policy: HistoryPolicy = HistoryPolicy(),  # noqa: B008 - immutable
    capacity: int | None = None,
    clock: Callable[[], float] = wall,
) -> AsyncIterator[Recording]:
    """Run a recorder on `path`; it ends cleanly with the block."""
    mailbox: Mailbox[RecorderMessage] = Mailbox(capacity)
    recorder = Recorder(mailbox, path, policy, clock)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recorder.run)
            yield Recording(mailbox, recorder)
            await recorder.close()
