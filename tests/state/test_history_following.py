"""Following the history: every event once, in order, from any point, over restarts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.errors import HistoryError
from state.history import following
from state.history.following import MOST_AT_ONCE, Point, events_after, newest_point, parse_point, point_at
from state.history.inspection import open_for_reading
from state.history.migrations import open_history
from state.history.rows import AlertRow, OperationRow
from state.history.tables import Row
from tests.rigs.histories import every_row, fill


def _filled(path: Path, *rows: Row) -> None:
    with closing(open_history(path)) as connection:
        fill(connection, rows)


def _operation(at: float, verb: str) -> OperationRow:
    return OperationRow(at=at, verb=verb, target=None, by="ada")


@given(st.tuples(*[st.integers(0, 10**18 - 1)] * 5))
def test_a_points_text_leads_back_to_it(numbers: tuple[int, ...]) -> None:
    """Clients keep it as an id."""
    assert parse_point(str(Point(*numbers))) == Point(*numbers)


@given(st.text())
def test_no_text_is_taken_for_a_point_that_is_none(text: str) -> None:
    """Whatever else a client sends back is refused."""
    with pytest.raises(ValueError, match="no event's id"):
        parse_point(f"{text}x")


def test_events_come_by_their_time_and_each_table_by_its_ids(tmp_path: Path) -> None:
    """A row that was written late is not skipped by those that followed it."""
    path = tmp_path / "history.sqlite"
    alert = AlertRow(at=15.0, kind="credential", workload=None, target=None, message="x")
    _filled(path, _operation(10.0, "drain"), _operation(30.0, "reload"), _operation(20.0, "resume"), alert)
    told = [event.row.get("verb", event.kind) for event in events_after(path, Point())]
    assert told == ["drain", "alert", "reload", "resume"]


def test_going_on_after_any_event_gives_exactly_the_rest(tmp_path: Path) -> None:
    """Nothing twice, nothing lost, in steps of any size."""
    path = tmp_path / "history.sqlite"
    _filled(
        path, *[row for second in range(9) for row in every_row(100.0 + second) if type(row).__name__ != "DecisionRow"]
    )
    whole = events_after(path, Point())
    assert {event.kind for event in whole} == {"fallback", "transition", "probe", "operation", "alert"}
    for place, event in enumerate(whole):
        assert events_after(path, event.after) == whole[place + 1 :]
    pieces, point = [], Point()
    while piece := events_after(path, point, 2):
        pieces += piece
        point = piece[-1].after
    assert pieces == whole
    assert newest_point(path) == point


def test_a_time_is_a_point_before_what_happened_then(tmp_path: Path) -> None:
    """`since` shows everything from then on."""
    path = tmp_path / "history.sqlite"
    _filled(path, _operation(10.0, "drain"), _operation(20.0, "resume"))
    assert [event.row["verb"] for event in events_after(path, point_at(path, 20_000))] == ["resume"]
    assert events_after(path, point_at(path, 20_001)) == []


def test_a_history_without_alerts_is_followed_too_and_none_at_all_is_said(tmp_path: Path) -> None:
    """An older file lacks the newest table; a missing file raises what can be told."""
    path = tmp_path / "history.sqlite"
    _filled(path, _operation(10.0, "drain"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE alert")
        connection.commit()
    assert [event.kind for event in events_after(path, Point())] == ["operation"]
    with pytest.raises(HistoryError, match="no history"):
        newest_point(tmp_path / "nowhere.sqlite")


def test_a_point_of_another_file_shows_all_of_a_young_one(tmp_path: Path) -> None:
    """A history that was moved away begins anew: its first rows were missed by whoever followed the former."""
    path = tmp_path / "history.sqlite"
    _filled(path, _operation(10.0, "drain"), _operation(20.0, "resume"))
    told = events_after(path, Point(operation=7))
    assert [event.row["verb"] for event in told] == ["drain", "resume"]
    assert events_after(path, told[-1].after) == []


def test_a_point_ahead_of_its_table_looks_back_so_far_and_no_farther(tmp_path: Path) -> None:
    """A power cut may take a table's last rows with their ids; nobody is told a month again for that."""
    path = tmp_path / "history.sqlite"
    _filled(path, *[_operation(float(second), "drain") for second in range(MOST_AT_ONCE + 100)])
    told = events_after(path, Point(operation=MOST_AT_ONCE + 101))
    assert (told[0].after, len(told)) == (Point(operation=101), MOST_AT_ONCE)


def test_rows_that_were_deleted_take_no_point_back(tmp_path: Path) -> None:
    """Old rows go after a month; whoever has seen them is told nothing again."""
    path = tmp_path / "history.sqlite"
    _filled(path, _operation(10.0, "drain"), _operation(20.0, "resume"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM operation WHERE verb = 'resume'")
        connection.commit()
    assert events_after(path, Point(operation=2)) == []


@pytest.mark.parametrize(
    "look", [newest_point, lambda path: point_at(path, 0), lambda path: events_after(path, Point())]
)
def test_a_file_that_fails_after_it_was_opened_raises_what_can_be_told(
    look: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is read of it first: a lock, a failing disk."""

    def opened(path: Path) -> sqlite3.Connection:
        connection = open_for_reading(path)
        connection.set_progress_handler(lambda: 1, 1)
        return connection

    path = tmp_path / "history.sqlite"
    _filled(path, _operation(10.0, "drain"))
    monkeypatch.setattr(following, "open_for_reading", opened)
    with pytest.raises(HistoryError, match="cannot be read"):
        look(path)


def test_a_row_whose_time_is_none_keeps_no_other_from_being_told(tmp_path: Path) -> None:
    """Law: in a file of others it comes first."""
    path = tmp_path / "history.sqlite"
    _filled(path, _operation(10.0, "drain"), AlertRow(at=20.0, kind="k", workload=None, target=None, message="m"))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') "
            "WHERE name = 'alert'; PRAGMA writable_schema = RESET;"
        )
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alert SET at_ms = 'noon'")
        connection.commit()
    assert [event.kind for event in events_after(path, Point())] == ["alert", "operation"]
