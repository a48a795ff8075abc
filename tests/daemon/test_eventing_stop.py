"""How streams of events begin and end."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

from state.faults import Fault
from state.history.migrations import open_history
from state.history.rows import ProbeRow
from state.outcome import Outcome, ProbeKind
from tests.rigs.histories import STEADY, fill
from tests.rigs.process import LAB, UnixConnection, running


def test_a_stream_begins_with_the_id_to_go_on_from(tmp_path: Path) -> None:
    """Law: whoever is cut off before the first event misses none either."""
    with running(tmp_path, LAB) as daemon, closing(UnixConnection(daemon.socket)) as connection:
        connection.request("GET", "/fairlead/v1/events")
        stream = connection.getresponse()
        assert stream.readline().startswith(b":")
        assert stream.readline().startswith(b"id: f")


@pytest.mark.parametrize(("digits", "status"), [(9, 200), (400, 400)])
def test_no_since_makes_the_daemon_fail(tmp_path: Path, digits: int, status: int) -> None:
    """Law: one beyond all time shows everything, and a number that has no end is the client's mistake."""
    with running(tmp_path, LAB) as daemon:
        assert daemon.ask("GET", f"/fairlead/v1/events?follow=0&since={'9' * digits}d").status == status


def test_a_follower_that_does_not_read_holds_up_no_end(tmp_path: Path) -> None:
    """Law: whoever may only read cannot delay the daemon's end by its grace."""
    outcome = Outcome(fault=Fault.TIMEOUT, reason="x" * 200)
    row = ProbeRow(at=time.time() - 60, target=STEADY, kind=ProbeKind.CATALOG, outcome=outcome)
    with closing(open_history(tmp_path / "history.sqlite")) as connection:
        fill(connection, (row,) * 20_000)
    with running(tmp_path, LAB) as daemon, closing(UnixConnection(daemon.socket)) as connection:
        connection.request("GET", "/fairlead/v1/events?since=1h")
        stream = connection.getresponse()
        assert stream.readline().startswith(b":")
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 10
