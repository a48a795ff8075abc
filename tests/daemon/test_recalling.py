"""A start remembers what it can within its time, and starts without its memory where that takes too long."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from daemon.recalling import recalled
from daemon.service.notify import Notifier
from tests.rigs.notified import ServiceManager, listening


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    """Give a listening service manager."""
    with listening(tmp_path) as manager:
        yield manager


def test_a_disk_that_never_answers_does_not_stop_a_start(tmp_path: Path, manager: ServiceManager) -> None:
    """Law: no history is no reason to stop; the manager is asked for time meanwhile, and the trouble is told."""
    history = tmp_path / "h.sqlite"
    os.mkfifo(history)  # reading it waits for a writer, as a dead disk would

    async def main() -> None:
        with closing(Notifier(manager.environment())) as notifier:
            found = await recalled(history, {}, notifier, 0.05)
        assert "within 0.05s" in found.past.trouble
        assert "within 0.05s" in found.spending.trouble
        os.close(os.open(history, os.O_RDWR | os.O_NONBLOCK))  # lets the thread go

    anyio.run(main)
    (asked,) = manager.take()
    assert asked == {"EXTEND_TIMEOUT_USEC": "10000000", "STATUS": "recalling the history"}


def test_without_a_history_there_is_nothing_to_recall(tmp_path: Path, manager: ServiceManager) -> None:
    """Law: a first start has no trouble."""

    async def main() -> None:
        with closing(Notifier(manager.environment())) as notifier:
            found = await recalled(tmp_path / "h.sqlite", {}, notifier)
        assert (found.past.trouble, found.spending.trouble, found.spent) == ("", "", ())

    anyio.run(main)
