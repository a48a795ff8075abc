"""A history of version 1, 2 or 3 is brought up to this one, and is read before that."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from state.faults import FAULT_RULES
from state.history.decisions import choices_of
from state.history.journeys import Journeys
from state.history.migrations import APPLICATION_ID, SCHEMA_VERSION, open_history
from state.history.recollection import recollect
from state.policy import HealthPolicy, HistoryPolicy
from tests.rigs.histories import STEADY, perform_chores, read

_ATTEMPT = (
    "INSERT INTO attempt (at_ms, request_id, number, target, outcome, fault, status, streamed, latency_ms) "
    "VALUES (1000000, 'r', 1, ?, 'failed', 'timeout', NULL, 0, 5.0)"
)

_DECISION = (
    "INSERT INTO decision (at_ms, request_id, number, chosen, strategy, reason, candidates, seed) "  # noqa: S608 - ours
    f"VALUES (1000000, 'r', 1, '{STEADY}', 'priority', 'first in order', '[]', 7)"
)


_REQUEST = (
    "INSERT INTO request (at_ms, request_id, workload, attempts, outcome, status, streamed, latency_ms, prompt_tokens, "
    "cost_usd) VALUES (999000, 'r', 'chat', 1, 'failed', 504, 0, 5.0, 11, 0.5)"
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a file as the first version left it: one attempt, one cooldown."""
    path = tmp_path / "history.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(resources.files("state.history").joinpath("schema.sql").read_text())
        connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;")
        connection.execute(_ATTEMPT, (STEADY,))
    return path


def test_what_the_first_version_wrote_stays_and_new_columns_are_empty(old: Path) -> None:
    """Its rows are all there; what they could not say is NULL; the table of faults speaks the new words."""
    open_history(old).close()
    assert read(old, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert read(old, "SELECT target, fault, blame, hedge FROM attempt") == [(STEADY, "timeout", None, 0)]
    assert read(old, "SELECT count(*) FROM alert") == [(0,)]
    words = dict(read(old, "SELECT fault, blame FROM fault_kind"))
    assert words == {fault.value: rule.blame.value for fault, rule in FAULT_RULES.items()}
    assert read(old, "SELECT failed_attempts FROM availability_daily") == [(1,)]


def test_it_is_remembered_before_it_is_brought_up(old: Path) -> None:
    """A restart reads the file first, and must not forget for the sake of a column."""
    found = recollect(old, now=50.0, wall_now=1010.0, policies={STEADY: HealthPolicy()})
    assert found.trouble == ""
    assert [evidence.outcome.fault for evidence in found.remembered[STEADY].evidence] == ["timeout"]


def test_choices_of_the_second_version_stay_and_have_no_setting(tmp_path: Path) -> None:
    """They cannot be made again, and say so; before and after the file is brought up they can be read."""
    path = tmp_path / "history.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for step in ("schema.sql", "step2.sql"):
            connection.executescript(resources.files("state.history").joinpath(step).read_text())
        connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 2;")
        connection.execute(_DECISION)
    before = list(choices_of(path, "r"))
    open_history(path).close()
    assert read(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert read(path, "SELECT chosen, seed, setting, code FROM decision") == [(STEADY, 7, None, None)]
    assert list(choices_of(path, "r")) == before
    assert [(row.chosen, row.setting, row.code) for row in before] == [(STEADY, None, None)]


@pytest.fixture
def third(tmp_path: Path) -> Path:
    """Return a file as version 3 left it: two requests and their attempts, one of which is not rolled up yet."""
    path = tmp_path / "third.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for step in ("schema.sql", "step2.sql", "step3.sql", "views.sql"):
            connection.executescript(resources.files("state.history").joinpath(step).read_text())
        connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 3;")
        for _ in range(2):
            connection.execute(_ATTEMPT, (STEADY,))
            connection.execute(_REQUEST)
        connection.execute("UPDATE rollup_mark SET last_id = 1 WHERE source = 'attempt'")
    return path


def test_what_the_third_version_wrote_has_no_cost_and_is_on_nobodys_bill(third: Path) -> None:
    """Its rows stay; that they were not charged is no cost of 0 and no attempt of unknown price."""
    with closing(open_history(third)) as connection:
        for _ in range(2):
            assert (
                read(third, "SELECT prompt_tokens, cost_usd, best_usd, label, purpose FROM request")
                == [(11, 0.5, None, None, "client")] * 2
            )
            assert (
                read(third, "SELECT workload, team, cost_usd, cost_estimated, purpose FROM attempt")
                == [("", None, None, 0, "client")] * 2
            )
            assert read(third, "SELECT * FROM spend_daily") == read(third, "SELECT * FROM savings_daily") == []
            assert read(third, "SELECT failed_attempts FROM availability_daily") == [(1,)]
            perform_chores(connection, HistoryPolicy(), 1001.0)
            connection.execute("UPDATE evidence_hour SET n = 1")
    assert read(third, "SELECT source, last_id FROM rollup_mark ORDER BY source") == [
        ("attempt", 2),
        ("probe", 0),
        ("request", 2),
    ]


def test_what_the_third_version_wrote_is_read_before_it_is_brought_up(third: Path) -> None:
    """By a restart, and by a simulation that only reads."""
    with closing(Journeys(third)) as journeys:
        requests = list(journeys.requests(0, 10**15))
    assert recollect(third, now=50.0, wall_now=1010.0, policies={STEADY: HealthPolicy()}).outcomes == 2
    assert [(one.prompt_tokens, one.label, one.purpose) for one in requests] == [(11, None, "client")] * 2
    assert requests[0].attempts[0].cost_usd is None
