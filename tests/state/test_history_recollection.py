"""What a restart remembers, and that no history trouble and no jump of the wall clock does harm by it."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.durations import Seconds
from state.faults import Fault
from state.history.migrations import open_history
from state.history.recollection import EVIDENCE_LIMIT, Recollection, recollect
from state.history.rows import OperationRow, ProbeRow
from state.messages import AttemptCompleted, ProbeCompleted
from state.outcome import Outcome, ProbeKind
from state.policy import CooldownPolicy, HealthPolicy
from state.remembered import Remembered
from state.standing import Standing
from tests.rigs.histories import FLAKY, STEADY, attempt, fill, recording, transition

LONGEST = 60.0
POLICY = HealthPolicy(cooldown=CooldownPolicy(base=Seconds(1), max=Seconds(LONGEST)))
POLICIES = {STEADY: POLICY, FLAKY: POLICY}
UNIX = 1_750_000_000.0
NOW = 5000.0
"""This process's monotonic clock, at Unix time `UNIX`."""


def remembered(*rows: Any, wall_now: float = UNIX) -> Recollection:
    """Return what a restart at `wall_now` remembers of a history whose rows have Unix times."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite"
        with closing(open_history(path)) as connection:
            fill(connection, rows)
        return recollect(path, now=NOW, wall_now=wall_now, policies=POLICIES)


def of_steady(*rows: Any, wall_now: float = UNIX) -> Remembered:
    """Return what is remembered of `STEADY`."""
    return remembered(*rows, wall_now=wall_now).remembered[STEADY]


def cooling(at: float, until: float | None) -> Any:
    """Return the ejection of `STEADY`."""
    return transition(at, Standing.HEALTHY, Standing.COOLING, until=until, ejections=3)


def test_a_standing_comes_back_with_its_cooldown_its_cause_and_its_ejections() -> None:
    """The latest one counts; its times are on this process's clock."""
    found = remembered(transition(UNIX - 9, Standing.UNPROVEN, Standing.HEALTHY), cooling(UNIX - 5, UNIX + 20))
    assert dict(found.remembered) == {
        STEADY: Remembered(
            target=STEADY,
            standing=Standing.COOLING,
            since=NOW - 5,
            until=NOW + 20,
            cause="3 faults in a row",
            ejections=3,
        )
    }
    assert (found.cooling, found.drained, found.outcomes, found.trouble) == (1, 0, 0, "")


@given(
    age=st.floats(0, 1e6),
    length=st.one_of(st.none(), st.floats(0, 1e6)),
    jump=st.floats(-1e6, 1e6),
)
def test_no_jump_of_the_wall_clock_makes_a_cooldown_longer(age: float, length: float | None, jump: float) -> None:
    """It ends within what it was meant to be and within the policy's longest, and it began no later than now."""
    began = UNIX - age
    found = of_steady(cooling(began, None if length is None else began + length), wall_now=UNIX + jump)
    assert found.since <= NOW
    assert found.until is not None
    assert found.until - NOW <= min(LONGEST, length or 0.0) + 0.002


def test_a_drain_comes_back_until_it_ends_or_is_resumed() -> None:
    """Also one that only `resume` ends; one whose time is over is forgotten."""
    drain = OperationRow(at=UNIX - 100, verb="drain", target=STEADY, by="ada", reason="upgrade")
    probe = OperationRow(at=UNIX - 50, verb="probe", target=STEADY, by="ada")
    timed = msgspec.structs.replace(drain, until=UNIX + 60)
    expected = Remembered(target=STEADY, drained=True, drain_reason="upgrade")
    assert of_steady(drain, probe) == expected
    assert of_steady(drain, timed) == msgspec.structs.replace(expected, drained_until=NOW + 60)
    assert remembered(msgspec.structs.replace(drain, until=UNIX - 1)).remembered == {}
    assert remembered(drain, OperationRow(at=UNIX - 90, verb="resume", target=STEADY, by="ada")).remembered == {}
    assert remembered(drain).drained == 1


outcomes = st.builds(
    Outcome,
    fault=st.one_of(st.none(), st.sampled_from(Fault)),
    status=st.one_of(st.none(), st.integers(100, 599)),
    reason=st.text(st.characters(codec="utf-8"), max_size=9),
    first_byte_s=st.one_of(st.none(), st.integers(0, 10**6).map(lambda n: n / 1e6)),
    latency_s=st.integers(0, 10**6).map(lambda n: n / 1e6),
    retry_after_s=st.one_of(st.none(), st.integers(0, 100).map(float)),
    streamed=st.just(False),  # noqa: FBT003 - a probe's row does not say
)


@given(outcomes=st.lists(st.tuples(outcomes, st.one_of(st.none(), st.sampled_from(ProbeKind))), max_size=90))
def test_replaying_the_history_gives_the_evidence_that_was_recorded(
    outcomes: list[tuple[Outcome, ProbeKind | None]],
) -> None:
    """Attempts and probes, oldest first, to the millisecond: the last 64 that say anything of the target."""
    rows, evidence = [], []
    for number, (outcome, kind) in enumerate(outcomes):
        age = float(len(outcomes) - number)
        at, started_at = NOW - age, NOW - age - outcome.latency_s
        if kind is None:
            rows.append(attempt(UNIX - age, outcome=outcome))
            if outcome.counts:
                evidence.append(AttemptCompleted(target=STEADY, outcome=outcome, started_at=started_at, at=at))
        else:
            rows.append(ProbeRow(at=UNIX - age, target=STEADY, kind=kind, outcome=outcome, cost_usd=0.25))
            probe = ProbeCompleted(
                target=STEADY, kind=kind, outcome=outcome, started_at=started_at, at=at, cost_usd=0.25
            )
            evidence.append(probe)
    found = remembered(*rows).remembered
    assert (found[STEADY].evidence if evidence else ()) == tuple(evidence[-EVIDENCE_LIMIT:])


def test_evidence_of_more_than_ten_minutes_ago_says_nothing_about_now() -> None:
    """Nor does evidence from further than that in the future; a little ahead of the clock counts as now."""
    rows = [attempt(UNIX + shift) for shift in (-700, -599, -1, 2, 700)]
    assert [one.at for one in of_steady(*rows).evidence] == [NOW - 599, NOW - 1, NOW]


def test_targets_that_are_no_longer_configured_are_not_remembered() -> None:
    """The history may know more than the configuration."""
    assert remembered(attempt(UNIX, target="lab/gone")).remembered == {}


def test_no_history_trouble_prevents_the_start(tmp_path: Path) -> None:
    """No file, no file yet, no database, another's, damaged: an empty recollection, and a word where it is trouble."""
    open_history(tmp_path / "damaged").close()
    whole = (tmp_path / "damaged").read_bytes()
    (tmp_path / "damaged").write_bytes(whole[:100] + b"\xa5" * (len(whole) - 100))
    (tmp_path / "diary").write_text("Dear diary, this is no database. " * 40)
    (tmp_path / "empty").touch()

    def found(name: str) -> Recollection:
        return recollect(tmp_path / name, now=NOW, wall_now=UNIX, policies=POLICIES)

    assert found("missing") == Recollection()
    assert found("no/such/folder") == Recollection()
    for name in ("damaged", "diary", "empty", ".", "diary/history.sqlite"):
        assert found(name).remembered == {}
        assert found(name).trouble or name == "diary/history.sqlite"


def test_a_restart_knows_whether_the_run_before_it_ended_cleanly(tmp_path: Path) -> None:
    """A daemon that runs on has not ended; one that stopped has."""
    path = tmp_path / "history.sqlite"

    def unclean() -> bool:
        return recollect(path, now=NOW, wall_now=UNIX, policies=POLICIES).unclean

    async def main() -> None:
        assert not unclean()
        async with recording(path) as at_work:
            assert await at_work.flush()
            assert unclean()
        assert not unclean()

    anyio.run(main)


@pytest.mark.parametrize("sql", ["DROP TABLE attempt", "UPDATE transition SET ejections = -1"])
def test_a_history_that_someone_tampered_with_never_prevents_the_start(tmp_path: Path, sql: str) -> None:
    """Whatever it is that no longer fits, the daemon starts without it."""
    path = tmp_path / "history.sqlite"
    with closing(open_history(path)) as connection:
        fill(connection, (cooling(UNIX - 5, UNIX + 20),))
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(sql)
    recollect(path, now=NOW, wall_now=UNIX, policies=POLICIES)


@pytest.mark.parametrize(
    ("column", "value"),
    [("latency_ms", "'soon'"), ("first_byte_ms", "x'ff'"), ("at_ms", "9e18"), ("fault", "'hunger'"), ("status", "'x'")],
)
def test_rows_of_other_types_than_ours_never_prevent_the_start(tmp_path: Path, column: str, value: str) -> None:
    """Whoever made the file or damaged it: STRICT vouches for the types of our own tables alone."""
    path = tmp_path / "history.sqlite"
    with closing(open_history(path)) as connection:
        fill(connection, (attempt(UNIX - 5),))
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE name = 'attempt'")
        connection.execute("PRAGMA writable_schema = RESET")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(f"UPDATE attempt SET {column} = {value}")  # noqa: S608 - a test's own
        connection.commit()
    recollect(path, now=NOW, wall_now=UNIX, policies=POLICIES)
