"""A history of version 1 or 2 is brought up to this one, and is read before that."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from state.faults import FAULT_RULES
from state.history.decisions import choices_of
from state.history.migrations import APPLICATION_ID, SCHEMA_VERSION, open_history
from state.history.recollection import recollect
from state.policy import HealthPolicy
from tests.rigs.histories import STEADY, read

_ATTEMPT = (
    "INSERT INTO attempt (at_ms, request_id, number, target, outcome, fault, status, streamed, latency_ms) "
    "VALUES (1000000, 'r', 1, ?, 'failed', 'timeout', NULL, 0, 5.0)"
)

_DECISION = (
    "INSERT INTO decision (at_ms, request_id, number, chosen, strategy, reason, candidates, seed) "  # noqa: S608 - ours
    f"VALUES (1000000, 'r', 1, '{STEADY}', 'priority', 'first in order', '[]', 7)"
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
