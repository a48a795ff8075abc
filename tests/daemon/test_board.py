"""The status line is true as soon as something changes, and is not sent for nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from daemon.service.board import Overhearing, StatusBoard
from daemon.service.notify import Notifier
from state.mailbox import Mailbox
from state.messages import HealthPublished
from state.standing import HealthSnapshot
from tests.rigs.notified import ServiceManager, listening
from tests.rigs.virtual_time import run_virtual


class Stage:
    """A board in virtual time, what it looks at, and who hears it."""

    def __init__(self, manager: ServiceManager, notifier: Notifier) -> None:
        self.line = "all well"
        self.looks = 0
        self.board = StatusBoard(notifier)
        self._manager = manager

    async def look(self) -> str:
        """Return the line of now."""
        self.looks += 1
        return self.line

    def heard(self) -> list[str]:
        """Return what was said since the last call."""
        return [
            " ".join(f"{name}={value}" for name, value in message.items() if name != "MONOTONIC_USEC")
            for message in self._manager.take()
        ]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    """Give a listening service manager."""
    with listening(tmp_path) as manager:
        yield manager


def play(manager: ServiceManager, scene: Callable[[Stage], Awaitable[None]]) -> None:
    """Play a scene with an open board."""

    async def main() -> None:
        with closing(Notifier(manager.environment())) as notifier:
            stage = Stage(manager, notifier)
            async with anyio.create_task_group() as tasks:
                stage.board.open(stage.line)
                tasks.start_soon(stage.board.run, stage.look)
                await anyio.sleep(1.0)
                await scene(stage)
                tasks.cancel_scope.cancel()

    run_virtual(main)


def test_a_line_is_sent_once(manager: ServiceManager) -> None:
    """Law: what has not changed is not said again, however often it was looked at."""

    async def scene(stage: Stage) -> None:
        await anyio.sleep(60.0)
        assert stage.heard() == ["READY=1 STATUS=all well"]
        assert stage.looks > 20

    play(manager, scene)


def test_news_is_shown_at_once_and_a_rush_of_it_at_leisure(manager: ServiceManager) -> None:
    """Law: a change that somebody tells of shows within a quarter of a second; a thousand a second cost four looks."""

    async def scene(stage: Stage) -> None:
        stage.heard()
        stage.line = "trouble"
        stage.board.stir()
        await anyio.sleep(0.3)
        assert stage.heard() == ["STATUS=trouble"]
        before = stage.looks
        for _ in range(1000):
            stage.board.stir()
            await anyio.sleep(0.001)
        assert stage.looks - before <= 5

    play(manager, scene)


def test_what_counts_down_is_shown_without_news(manager: ServiceManager) -> None:
    """Law: every two seconds it is looked anyway."""

    async def scene(stage: Stage) -> None:
        stage.heard()
        stage.line = "less"
        await anyio.sleep(3.0)
        assert stage.heard() == ["STATUS=less"]

    play(manager, scene)


def test_a_reload_is_shown_while_it_lasts_and_what_came_of_it_after(manager: ServiceManager) -> None:
    """Law: RELOADING, nothing between, READY, and then how it is now."""

    async def scene(stage: Stage) -> None:
        stage.heard()
        stage.board.reloading()
        stage.line = "the configuration on disk is invalid"
        await anyio.sleep(10.0)
        assert stage.heard() == ["RELOADING=1 STATUS=reading the configuration"]
        stage.board.reloaded()
        await anyio.sleep(0.3)
        assert stage.heard() == ["READY=1 STATUS=all well", "STATUS=the configuration on disk is invalid"]

    play(manager, scene)


def test_a_closed_board_shows_nothing(manager: ServiceManager) -> None:
    """Law: while the daemon ends nobody says that all is well."""

    async def scene(stage: Stage) -> None:
        stage.heard()
        stage.board.close()
        stage.line = "another"
        stage.board.stir()
        await anyio.sleep(10.0)
        assert stage.heard() == []

    play(manager, scene)


def test_the_registrys_news_stirs_the_board_and_goes_on(manager: ServiceManager) -> None:
    """Law: who the news is for gets it, in order."""

    async def scene(stage: Stage) -> None:
        box = Mailbox[HealthPublished]()
        stage.heard()
        stage.line = "cooling"
        assert Overhearing(box.address, stage.board).post(HealthPublished(snapshot=HealthSnapshot(revision=7)))
        await anyio.sleep(0.3)
        assert stage.heard() == ["STATUS=cooling"]
        assert [message.snapshot.revision for message in box.take_all()] == [7]

    play(manager, scene)
