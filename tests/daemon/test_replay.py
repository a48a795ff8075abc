"""Replay: what was recorded is chosen again, by the verb as by the code, and what differs is told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.cli.main import main
from daemon.replay.comparing import Finding, compared
from daemon.replay.fingerprint import fingerprint
from daemon.replay.setting import setting_of
from daemon.routing.selection import choose
from state.history.decisions import RecordedChoice, choices_of, choices_since
from state.history.rows import DecisionRow
from state.policy import HistoryPolicy
from tests.rigs.fleets import Known, known_to_choose
from tests.rigs.histories import read, recording
from tests.rigs.process import LAB, Daemon, running

_EVERYTHING = HistoryPolicy(decisions_per_second=10**6)


def _row(known: Known, at: float, number: int) -> DecisionRow:
    """Return the row of a choice, as the journal posts it."""
    choice = choose(*known)
    return DecisionRow(
        at=at,
        request_id="req_1",
        number=number,
        chosen=choice.chosen,
        strategy=choice.strategy,
        reason=choice.reason,
        candidates=msgspec.json.encode(choice.candidates),
        seed=choice.seed,
        setting=setting_of(*known),
        code=fingerprint(),
    )


def _record(path: Path, fleets: list[Known]) -> None:
    async def main() -> None:
        async with recording(path, _EVERYTHING) as at_work:
            at_work.post(*(_row(known, anyio.current_time(), number) for number, known in enumerate(fleets, start=1)))

    anyio.run(main)


@settings(max_examples=20, deadline=None)
@given(st.lists(known_to_choose(st.floats()), min_size=1, max_size=20))
def test_whatever_is_recorded_is_reproduced(fleets: list[Known]) -> None:
    """Law: any fleet, any load, any clock, through the real recorder and its file, to the same choice."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite"
        _record(path, fleets)
        found = [compared(row) for row in choices_of(path, "req_1")]
    assert [one.finding for one in found] == [Finding.REPRODUCED] * len(fleets)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give a daemon that has served some requests, by itself and by a fallback, and has refused one."""
    with running(tmp_path_factory.mktemp("d"), LAB) as one:
        for _ in range(5):
            one.chat("chat")
        assert main(["mock-fault", "chat", "timeout", "--socket", str(one.socket)]) == 0
        assert one.chat("chat").headers["fairlead-attempts"] == "2"
        assert main(["drain", "two/m", "--reason", "ümlaut", "--socket", str(one.socket)]) == 0
        assert one.chat("two/m").status == 503
        assert main(["sql", "SELECT 1", "--socket", str(one.socket)]) == 0
        yield one


@pytest.fixture
def history(daemon: Daemon, tmp_path: Path) -> Path:
    """Return a copy of that daemon's history, with every choice in it, free to be changed."""
    path = tmp_path / "history.sqlite"
    with closing(sqlite3.connect(path)) as copy:
        while True:
            with closing(sqlite3.connect(daemon.history)) as original:
                original.backup(copy)
            if copy.execute("SELECT count(*) FROM decision").fetchone()[0] >= 8:
                return path


def _replay(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["replay", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def _change(path: Path, change: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE decision SET {change} WHERE id = 1")  # noqa: S608


def test_the_choices_of_a_real_daemon_are_reproduced(
    daemon: Daemon, history: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Law: from its own file while it runs, from the socket's, and from a copy that no daemon knows."""
    for where in (("--history", str(daemon.history)), ("--socket", str(daemon.socket)), ("--history", str(history))):
        code, told = _replay(capsys, "--since", "1h", *where)
        assert next(iter(told.items())) == ("schema", "fairlead.replay/1")
        assert (code, told["replayed"] >= 8, told["differ"], told["without_setting"]) == (0, True, 0, 0)
        assert (told["reproduced"], told["other_code"]) == (told["replayed"], 0)


def test_one_request_is_replayed_by_its_id_or_as_the_last(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: a fallback's request has two choices, and both are made again."""
    ((request_id,),) = read(history, "SELECT request_id FROM decision WHERE number = 2")
    assert main(["replay", request_id, "--history", str(history)]) == 0
    assert capsys.readouterr().out == "2 choices replayed, 2 reproduced, 0 differ, 0 without a setting\n"
    assert main(["replay", "last", "--history", str(history)]) == 0
    assert capsys.readouterr().out.startswith("1 choices replayed")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("candidates = replace(candidates, '\"score\":0.0', '\"score\":0.25')", ["(score 0.25), now one/m (score 0)"]),
        ("chosen = 'two/m'", ["chose two/m (score 1), now one/m (score 0)"]),
        ("reason = 'a whim', code = '0.0.9+ff'", ["because: a whim", "now:     first", "other code: 0.0.9+ff"]),
    ],
)
def test_what_differs_is_told_and_ends_with_1(
    history: Path, capsys: pytest.CaptureFixture[str], change: str, words: list[str]
) -> None:
    """Law: another score, another target or another reason is another choice."""
    _change(history, change)
    assert main(["replay", "--since", "1h", "--history", str(history)]) == 1
    told = capsys.readouterr().out
    assert ", 1 differ, 0 without" in told
    assert [word for word in words if word not in told] == []


@pytest.mark.parametrize(
    ("change", "count", "code"), [("setting = NULL", "without_setting", 0), ("setting = x'00'", "unreadable", 1)]
)
def test_what_cannot_be_made_again_is_counted(
    history: Path, capsys: pytest.CaptureFixture[str], change: str, count: str, code: int
) -> None:
    """Law: a row from before settings were recorded is no failure, a damaged one is."""
    _change(history, change)
    ended, told = _replay(capsys, "--since", "1h", "--history", str(history))
    assert (ended, told[count]) == (code, 1)


def test_where_nothing_can_be_replayed_it_ends_with_1(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: no choice is not the same as no difference."""
    assert main(["replay", "req_unknown", "--history", str(history)]) == 1
    assert "no such choice is recorded" in capsys.readouterr().out
    assert main(["replay", "--since", "1h", "--history", str(history.parent / "none")]) == 1
    assert main(["replay", "--since", "yesterday", "--history", str(history)]) == 2


def test_only_choices_of_the_time_asked_for_are_read(history: Path) -> None:
    """Law: an hour is an hour, whatever else is in the file."""
    everything = len(list(choices_since(history, 3600)))
    _change(history, "at_ms = at_ms - 7200000")
    assert [len(list(choices_since(history, seconds))) for seconds in (3600, 10800, 0)] == [
        everything - 1,
        everything,
        0,
    ]


@given(known_to_choose(st.floats()))
def test_a_score_that_changed_is_seen(known: Known) -> None:
    """Law: no candidate's score, term or reason can change without the row being told apart."""
    made = _row(known, 0.0, 1)
    candidates, packed = made.candidates.decode(), made.setting.packed()
    row = RecordedChoice(1, "", "r", 1, made.chosen, made.strategy, made.reason, candidates, 1, packed, made.code)
    assert compared(row).finding is Finding.REPRODUCED
    for place, candidate in enumerate(msgspec.json.decode(row.candidates)):
        seen = msgspec.json.decode(row.candidates)
        seen[place] = {
            **candidate,
            **({"skipped": "?"} if "skipped" in candidate else {"score": float(candidate["score"] == 0.0)}),
        }
        changed = row._replace(candidates=msgspec.json.encode(seen).decode())
        assert compared(changed).finding is Finding.DIFFERS
        assert compared(changed).differing == (candidate["target"],)
