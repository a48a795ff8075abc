"""The log: who reads it decides its shape, floods are counted, and no text of others gets in."""

from __future__ import annotations

import io
import logging
import os
import pty
import string
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.logs.flood import Flood, FloodPolicy, LeftOut
from daemon.logs.foreign import _said_by_code
from daemon.logs.kinds import KINDS, Priority, kind_of, priority_of
from daemon.logs.sentences import entry_of, harmless, values_of
from daemon.logs.shapes import Reader, Shape, asked_format, reader_of, shape_for
from daemon.logs.tracebacks import told_exception
from state.errors import ConfigError
from tests.rigs.journal import stand_in

FALLBACK = {
    "event": "fallback",
    "level": "warning",
    "request_id": "req_1",
    "workload": "chat",
    "primary": "openai/gpt-5",
    "from_target": "openai/gpt-5",
    "fallback": "anthropic/claude",
    "fault": "timeout",
    "status": None,
    "reason": "no first byte within 30s",
    "latency_ms": 30001.2,
}


class Colour(StrEnum):
    """A word of a closed set."""

    RED = "red"


def test_a_fallback_is_found_by_either_target() -> None:
    """Law: `journalctl FAIRLEAD_TARGET=…` finds it from both sides, and each field has a field of its own."""
    entry = entry_of(FALLBACK)
    assert entry.priority == Priority.NOTICE
    assert [value for name, value in entry.fields if name == "FAIRLEAD_TARGET"] == ["openai/gpt-5", "anthropic/claude"]
    assert dict(entry.fields) == {
        "MESSAGE_ID": KINDS["fallback"].id,
        "FAIRLEAD_EVENT": "fallback",
        "FAIRLEAD_TARGET": "anthropic/claude",
        "FAIRLEAD_REQUEST_ID": "req_1",
        "FAIRLEAD_WORKLOAD": "chat",
        "FAIRLEAD_PRIMARY": "openai/gpt-5",
        "FAIRLEAD_FROM_TARGET": "openai/gpt-5",
        "FAIRLEAD_FALLBACK": "anthropic/claude",
        "FAIRLEAD_FAULT": "timeout",
        "FAIRLEAD_REASON": "no first byte within 30s",
        "FAIRLEAD_LATENCY_MS": "30001.2",
    }
    assert entry.message == (
        "chat fell back from openai/gpt-5 to anthropic/claude: no first byte within 30s "
        "(request_id req_1, primary openai/gpt-5, fault timeout, latency_ms 30001.2)"
    )


def test_a_sentence_that_lacks_a_field_is_told_by_the_events_name() -> None:
    """Law: no event is lost for what it does not say."""
    assert entry_of({"event": "evidence_dropped", "level": "warning"}).message == "evidence dropped"
    assert entry_of({"event": "of_a_plug_in", "a": 1}).message == "of a plug in (a 1)"


def test_an_exception_stands_below_the_sentence() -> None:
    """Law: the first line says what happened."""
    message = entry_of({"event": "crashed", "level": "critical", "exception": "Traceback\nKeyError"}).message
    assert message == "fairlead met a mistake of its own and ends\nTraceback\nKeyError"


NAMES = st.text(string.ascii_lowercase + "_", min_size=1)


@given(st.dictionaries(NAMES, st.none() | st.text() | st.floats() | st.lists(st.text()) | st.booleans()))
def test_any_event_becomes_an_entry_on_one_printable_line(event: dict[str, Any]) -> None:
    """Law: whatever is logged, the message has no control characters, and nothing raises."""
    event = {**event, "event": "some_event", "exception": ""}
    assert not set(entry_of(event).message) & set(map(chr, range(32)))


def test_values_become_text() -> None:
    """Law: nothing says nothing, a list says each, a mapping says whose each is."""
    assert values_of(None) == ()
    assert values_of([1, None, True, Colour.RED]) == ("1", "true", "red")
    assert values_of({"a/b": Colour.RED}) == ("a/b=red",)


def test_a_terminal_obeys_nothing_in_a_text() -> None:
    """Law: an escape sequence of a provider is shown, not done."""
    assert harmless("\x1b[31mred\n\u202e") == "\\x1b[31mred\\n\\x202e"


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"event": "standing_changed", "after": "cooling"}, "standing_changed/cooling"),
        ({"event": "standing_changed", "after": "probation"}, "standing_changed"),
        ({"event": "alert", "kind": "budget"}, "alert/budget"),
    ],
)
def test_some_events_are_several_kinds(event: dict[str, str], name: str) -> None:
    """Law: an ejection and a return have ids of their own."""
    assert kind_of(event) is KINDS[name]


def test_a_kind_may_know_better_than_the_level_how_urgent_it_is() -> None:
    """Law: what was served elsewhere is a notice; what nobody decided upon goes by its level."""
    assert priority_of(KINDS["fallback"], "warning") is Priority.NOTICE
    assert priority_of(KINDS["alert/total_failure"], "warning") is Priority.CRITICAL
    assert priority_of(KINDS["reload_refused"], "error") is Priority.ERROR
    assert priority_of(None, "debug") is Priority.DEBUG


def test_the_reader_decides_the_shape_unless_somebody_has_asked_for_one() -> None:
    """Law: people get lines, programs JSON, the journal entries, and systemd without it lines with a priority."""
    assert shape_for("auto", Reader(terminal=True)) is Shape.TEXT
    assert shape_for("auto", Reader()) is Shape.JSON
    assert shape_for("auto", Reader(journal=True, supervised=True)) is Shape.JOURNAL
    assert shape_for("auto", Reader(supervised=True)) is Shape.PREFIXED
    assert shape_for("json", Reader(journal=True)) is Shape.JSON
    assert asked_format({"FAIRLEAD_LOG_FORMAT": "text"}, "json") == "text"
    assert asked_format({}, "json") == "json"
    with pytest.raises(ValueError, match="auto, journal, json, text"):
        asked_format({"FAIRLEAD_LOG_FORMAT": "xml"}, "auto")


def test_a_reader_is_known_by_what_the_stream_is(tmp_path: Path) -> None:
    """Law: a terminal, a file, and a stream in memory are told apart."""
    master, slave = pty.openpty()
    with os.fdopen(master), os.fdopen(slave, "w") as terminal, (tmp_path / "f").open("w") as file:
        assert reader_of({}, terminal) == Reader(terminal=True)
        assert reader_of({"INVOCATION_ID": "x"}, file) == Reader()
    assert reader_of({}, io.StringIO()) == Reader()


def test_a_flood_is_told_a_few_times_and_then_counted() -> None:
    """Law: what is left out is told, exactly, once: with the next of its kind or when the flood is over."""
    now = [0.0]
    flood = Flood(FloodPolicy(most=2, within_s=10), lambda: now[0])
    told = [flood.admits(FALLBACK) for _ in range(1000)]
    assert told == [0, 0] + [None] * 998
    assert flood.admits({**FALLBACK, "fallback": "other/target"}) == 0
    assert list(flood.settled()) == []
    now[0] = 10.0
    assert flood.admits(FALLBACK) == 998
    now[0] = 20.0
    assert list(flood.settled()) == []
    for _ in range(5):
        flood.admits(FALLBACK)
    now[0] = 31.0
    (left_out,) = flood.settled()
    assert (left_out.event, left_out.count) == ("fallback", 3)
    assert ("from_target", "openai/gpt-5") in left_out.of
    assert list(flood.settled()) == []


@given(st.lists(st.tuples(st.integers(0, 700), st.floats(0, 20)), max_size=60), st.integers(1, 4))
def test_every_event_of_a_flood_is_told_or_counted(steps: list[tuple[int, float]], most: int) -> None:
    """Law: told and counted together are all that there were, however they come."""
    now = [0.0]
    flood = Flood(FloodPolicy(most=most, within_s=10), lambda: now[0])
    told = counted = sent = 0
    for many, later in steps:
        for number in range(many):
            sent += 1
            before = flood.admits({"event": "e", "target": number})
            told += before is not None
            counted += before or 0
        now[0] += later
        counted += sum(one.count for one in flood.settled())
    counted += sum(one.count for one in flood.ended())
    assert told + counted == sent


def test_what_was_forgotten_of_a_flood_is_counted_together() -> None:
    """Law: memory is bounded, counts are not lost."""
    flood = Flood(FloodPolicy(most=1, within_s=10), lambda: 0.0)
    for number in range(1000):
        flood.admits({"event": "e", "target": number})
        flood.admits({"event": "e", "target": number})
    assert list(flood.settled()) == [LeftOut(event="other events", count=488)]


def _raise(error: BaseException) -> None:
    raise error


def _raised(error: BaseException, cause: BaseException | None = None) -> str:
    error.__cause__ = cause
    try:
        _raise(error)
    except BaseException as caught:  # noqa: BLE001 - whatever it is, it is only shown
        return told_exception((type(caught), caught, caught.__traceback__))


def test_a_traceback_says_where_and_keeps_the_words_of_others_back() -> None:
    """Law: files, lines and types are told; what an exception repeats of data is not."""
    canary = "sk-canary"
    told = _raised(KeyError(canary), ExceptionGroup(canary, [ValueError(canary), OSError(28, canary)]))
    assert canary not in told
    assert "test_log_shapes.py" in told
    assert "KeyError: (its words are left out" in told
    assert "---- 2 of 2 ----\nOSError: [Errno 28] No space left on device" in told


def test_a_traceback_has_the_words_of_our_own_exceptions() -> None:
    """Law: those are written with care, and say what to do."""
    assert "state.errors.ConfigError: fairlead.toml:3" in _raised(ConfigError(("fairlead.toml:3: no",)))
    assert "AttributeError: 'int' object" in _raised(AttributeError("'int' object has no attribute 'x'"))


def test_a_traceback_without_end_ends() -> None:
    """Law: a chain of causes is told as far as anyone reads."""
    error = ValueError()
    for _ in range(50):
        outer = ValueError()
        outer.__cause__, error = error, outer
    assert _raised(error).count("ValueError") < 20


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("Exception in callback Proto.data_received(b'sk-canary')", (), "Exception in callback Proto.data_received"),
        ("Task exception was never retrieved\nfuture: <Task sk-canary>", (), "Task exception was never retrieved"),
        ("cannot parse %r", ("sk-canary",), "cannot parse %r"),
    ],
)
def test_a_librarys_text_is_told_as_far_as_its_code_has_it(text: str, arguments: tuple[str, ...], said: str) -> None:
    """Law: what may be an argument's value is not told."""
    record = logging.LogRecord("asyncio", logging.ERROR, "f.py", 1, text, arguments, None)
    assert _said_by_code(record) == said


SCENE = """
import logging, sys, structlog
from daemon.logs.configuring import Log, configure_logs, tell_left_out
from daemon.logs.foreign import listen_to_others
print(configure_logs(Log(level="info", format=sys.argv[1], journal=sys.argv[2]), sys.stderr))
listen_to_others()
log = structlog.get_logger("t")
log.debug("not_told")
for _ in range(100):
    log.warning("fallback", from_target="a/m", fallback="b/m", workload="w", reason="\\x1b[31mno")
logging.getLogger("asyncio").error("Exception in callback f(b'sk-canary')")
raise KeyError("sk-canary")
"""


def _begun(shape: str, journal: str = "/nonexistent") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCENE, shape, journal]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603


def _scene(shape: str) -> tuple[str, str]:
    with _begun(shape) as scene:
        said, told = scene.communicate()
    return said.strip(), told


@pytest.mark.parametrize("shape", ["auto", "json", "text", "journal"])
def test_every_shape_tells_the_same_and_no_canary(shape: str) -> None:
    """Law: 20 of 100 are told, the rest is counted, and a crash is told without data."""
    chosen, told = _scene(shape)
    assert chosen == {"auto": "json"}.get(shape, shape)
    assert "sk-canary" not in told
    assert "not_told" not in told
    assert "\x1b" not in told
    assert "KeyError" in told
    assert len([line for line in told.splitlines() if "31mno" in line]) == 20
    assert "80" in told.splitlines()[-1]
    assert all(line.startswith("<") for line in told.splitlines()) == (shape == "journal")


def test_a_daemon_at_the_journal_sends_entries_and_writes_nothing(tmp_path: Path) -> None:
    """Law: fields, ids and priorities arrive; standard error stays empty."""
    with stand_in(tmp_path) as journal, _begun("journal", str(journal.path)) as scene:
        entries = []
        while scene.poll() is None:
            entries += journal.entries()
        entries += journal.entries()
        assert scene.communicate() == ("journal\n", "")
        assert {entry["SYSLOG_IDENTIFIER"][0] for entry in entries} == {"fairlead"}
        assert entries[0]["FAIRLEAD_TARGET"] == ["a/m", "b/m"]
        assert entries[0]["PRIORITY"] == ["5"]
        crash = next(entry for entry in entries if entry["FAIRLEAD_EVENT"] == ["crashed"])
        assert crash["PRIORITY"] == ["2"]
        assert "\nTraceback" in crash["MESSAGE"][0]
        assert entries[-1]["FAIRLEAD_COUNT"] == ["80"]
        assert entries[-1]["FAIRLEAD_TARGET"] == ["a/m", "b/m"]


def test_a_closed_descriptor_is_no_journal() -> None:
    """Law: a stream that cannot be looked at is taken for a file."""
    stream = os.fdopen(os.dup(2), "w")
    stream.close()
    assert reader_of({}, stream) == Reader()
