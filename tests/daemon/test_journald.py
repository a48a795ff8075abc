"""The journal's native protocol: what is sent is what journald reads, and nobody waits for it."""

from __future__ import annotations

import os
import socket
import string
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.logs.outlets import JournalOutlet, PrefixedOutlet, StandardError
from daemon.logs.sentences import Entry
from daemon.service.journald import Delivery, JournalSocket, encode, field_name, is_journal, prefixed
from tests.rigs.journal import decoded, stand_in

NAMES = st.text(string.ascii_uppercase, min_size=1, max_size=64)
FIELDS = st.lists(st.tuples(NAMES, st.text(st.characters(codec="utf-8"))))


@given(FIELDS)
def test_what_is_encoded_is_what_a_reader_of_the_protocol_decodes(fields: list[tuple[str, str]]) -> None:
    """Law: every field comes back, in order, with newlines, zeros and equal signs in it."""
    assert decoded(encode(fields)) == [(name, value.encode()) for name, value in fields]


@given(st.text())
def test_any_text_can_be_sent(text: str) -> None:
    """Law: what is no Unicode (half a surrogate pair) raises nothing."""
    assert len(decoded(encode([("MESSAGE", text)]))) == 1


@given(st.text())
def test_a_field_has_a_name_that_journald_takes(name: str) -> None:
    """Law: capitals, digits and underscores, a letter first, at most 64 of them."""
    made = field_name(name)
    assert 1 <= len(made) <= 64
    assert made[0] in string.ascii_uppercase
    assert set(made) <= set(string.ascii_uppercase + string.digits + "_")


def test_every_line_of_a_text_carries_its_priority() -> None:
    """Law: systemd reads the prefix line by line."""
    assert prefixed("a\n\nb", 3) == "<3>a\n<3>\n<3>b"


def test_standard_error_is_the_journal_only_where_it_is_that_very_stream(tmp_path: Path) -> None:
    """Law: a child inherits $JOURNAL_STREAM; where its output was redirected it does not lead to the journal."""
    with (tmp_path / "a").open("w") as a, (tmp_path / "b").open("w") as b:
        status = os.fstat(a.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert is_journal(environ, a.fileno())
        assert not is_journal(environ, b.fileno())
        assert not is_journal({}, a.fileno())
    assert not is_journal(environ, 2**20)


@pytest.mark.parametrize("size", [10, 5_000_000])
def test_an_entry_arrives_however_big_it_is(tmp_path: Path, size: int) -> None:
    """Law: what is too big for a datagram goes as a sealed file."""
    with stand_in(tmp_path) as journal:
        with closing(JournalSocket(str(journal.path))) as sender:
            assert sender.send(encode([("MESSAGE", "x" * size)])) is Delivery.DONE
        assert journal.entries() == [{"MESSAGE": ["x" * size]}]


def test_a_journal_that_is_away_is_no_error(tmp_path: Path) -> None:
    """Law: whoever sends is told, and the next entry looks again."""
    with closing(JournalSocket(str(tmp_path / "journal"))) as sender:
        assert sender.send(b"MESSAGE=a\n") is Delivery.AWAY
        with stand_in(tmp_path) as journal:
            assert sender.send(b"MESSAGE=b\n") is Delivery.DONE
            assert journal.entries() == [{"MESSAGE": ["b"]}]


def _outlet(path: Path, stderr: int = 2) -> closing[JournalOutlet]:
    return closing(JournalOutlet(JournalSocket(str(path)), StandardError(stderr)))


def _entry(number: int) -> Entry:
    return Entry(priority=5, message=f"entry {number}", fields=(("FAIRLEAD_NUMBER", str(number)),))


def test_a_busy_journal_gets_everything_in_order_once_it_reads(tmp_path: Path) -> None:
    """Law: what it cannot take at once waits, and nobody waits for it; the last words come last."""
    with stand_in(tmp_path) as journal, _outlet(journal.path) as outlet:
        for number in range(200):
            outlet.msg(_entry(number))
        seen = []
        while (entries := journal.entries()) or len(seen) < 200:
            seen += [entry["FAIRLEAD_NUMBER"][0] for entry in entries]
            outlet.settle()
        assert seen == [str(number) for number in range(200)]


def test_what_a_busy_journal_could_never_take_is_counted_and_told(tmp_path: Path) -> None:
    """Law: memory is bounded, and no entry is lost in silence."""
    with stand_in(tmp_path) as journal, _outlet(journal.path) as outlet:
        for number in range(10_000):
            outlet.msg(_entry(number))
        taken: list[dict[str, list[str]]] = []
        while entries := journal.entries():
            taken += entries
            outlet.settle()
        outlet.msg(_entry(10_000))
        (last,) = journal.entries()
        assert last["FAIRLEAD_DROPPED"] == [str(10_000 - len(taken))]
        assert last["MESSAGE"] == [f"entry 10000 (before this, {10_000 - len(taken)} could not be told)"]


def test_a_journal_that_is_away_leaves_standard_error_with_the_priority(tmp_path: Path) -> None:
    """Law: what waited goes there too, in order."""
    with (tmp_path / "stderr").open("w+") as stderr, _outlet(tmp_path / "nobody", stderr.fileno()) as outlet:
        outlet.msg(_entry(1))
        outlet.msg(Entry(priority=3, message="a\nb", fields=()))
        assert (tmp_path / "stderr").read_text() == "<5>entry 1\n<3>a\n<3>b\n"


def test_a_standard_error_that_nobody_reads_holds_nobody_up() -> None:
    """Law: lines that a full stream does not take are counted, and the next line that goes tells of them."""
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(PrefixedOutlet(StandardError(ours.fileno()))) as outlet:
        for number in range(100_000):
            outlet.msg(_entry(number))
        while _read(theirs):
            pass
        outlet.msg(_entry(100_000))
        assert b"could not be told)" in theirs.recv(1 << 16).splitlines()[-1]


def _read(stream: socket.socket) -> bytes:
    try:
        return stream.recv(1 << 20, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


def test_the_end_waits_a_moment_for_what_is_left(tmp_path: Path) -> None:
    """Law: a journal that does not read at all does not hold the end up for ever."""
    with stand_in(tmp_path) as journal, _outlet(journal.path) as outlet:
        for number in range(300):
            outlet.msg(_entry(number))
        outlet.close()
        assert journal.entries()
