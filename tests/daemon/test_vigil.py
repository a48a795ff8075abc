"""Who counts as hung: laws of a pure function."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.service.vigil import Vigil, after_look, hung, rhythm_of

RHYTHM = rhythm_of(10.0)
PAUSES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=30)


@given(PAUSES, st.lists(st.booleans(), min_size=30, max_size=30))
def test_who_answers_between_looks_is_never_hung(pauses: list[float], asleep: list[bool]) -> None:
    """Law: however late looks come, an actor that answers at one of any four is not taken for hung."""
    vigil = Vigil(0.0)
    for number, pause in enumerate(pauses):
        silent = ["a"] if asleep[number] and number % 4 else []
        vigil = after_look(vigil, silent, vigil.at + pause, RHYTHM)
        assert hung(vigil, RHYTHM) == ()


@given(st.floats(0.0, 1e9), st.floats(1.0, 3600.0))
def test_who_never_answers_is_hung_before_the_watchdogs_time_is_over(start: float, watchdog_s: float) -> None:
    """Law: within the time that the service manager waits, it is named, and others are not."""
    rhythm, vigil, passed_s = rhythm_of(watchdog_s), Vigil(start), 0.0
    while not hung(vigil, rhythm):
        passed_s += rhythm.interval_s
        vigil = after_look(vigil, ["a"], start + passed_s, rhythm)
        vigil = after_look(vigil, [*vigil.silent_s, "b"] if passed_s == rhythm.interval_s else ["a"], vigil.at, rhythm)
    assert hung(vigil, rhythm) == ("a",)
    assert passed_s < watchdog_s * 0.7


@given(st.floats(0.0, 1e6))
def test_a_loop_that_was_held_up_makes_nobody_hung(block_s: float) -> None:
    """Law: while the loop stands still nobody can answer; a look after it counts as one look, however late it comes."""
    vigil = after_look(Vigil(0.0), ["a", "b"], block_s, RHYTHM)
    assert hung(vigil, RHYTHM) == ()
    assert hung(after_look(vigil, [], block_s + 1.0, RHYTHM), RHYTHM) == ()


def test_silence_must_be_unbroken() -> None:
    """Law: an answer wipes out what was held against an actor."""
    vigil = Vigil(0.0)
    for second in range(1, 5):
        vigil = after_look(vigil, ["a"], second, RHYTHM)
    vigil = after_look(vigil, [], 5.0, RHYTHM)
    assert dict(vigil.silent_s) == {}


@pytest.mark.parametrize(
    ("watchdog_s", "interval_s", "patience_s"), [(10.0, 1.0, 5.0), (1.0, 0.1, 0.5), (60.0, 1.0, 30)]
)
def test_the_rhythm_leaves_room_on_both_sides(watchdog_s: float, interval_s: float, patience_s: float) -> None:
    """Law: ten signs of life in the watchdog's time, so that nine tenths of it held up kill nobody."""
    rhythm = rhythm_of(watchdog_s)
    assert (rhythm.interval_s, rhythm.patience_s) == (pytest.approx(interval_s), pytest.approx(patience_s))
