"""The watchdog's sign of life: only while every actor answers, and while every actor answers always."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from daemon.assembly import Assembly, Past
from daemon.config.configuration import Configuration
from daemon.config.load import demo_configuration
from daemon.service.board import StatusBoard
from daemon.service.notify import Notifier
from daemon.service.watchdog import Watchdog, Watched
from daemon.simulation import Simulation
from state.history.writing import HistoryFile
from state.mailbox import Mailbox
from tests.rigs.notified import ServiceManager, listening
from tests.rigs.virtual_time import run_virtual

WATCHDOG_S = 10.0
Actor = Callable[[Mailbox[str]], Awaitable[None]]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    """Give a listening service manager."""
    with listening(tmp_path) as manager:
        yield manager


def watched(manager: ServiceManager, seconds: float, **actors: Actor) -> list[dict[str, Any]]:
    """Watch actors for some virtual time, in which they get no message; return what was logged."""

    async def main() -> None:
        boxes = {name: Mailbox[str]() for name in actors}
        with closing(Notifier(manager.environment(WATCHDOG_S))) as notifier:
            watchdog = Watchdog(notifier)
            watchdog.watch({name: Watched(box.pulse) for name, box in boxes.items()})
            async with anyio.create_task_group() as tasks:
                for name, actor in actors.items():
                    tasks.start_soon(actor, boxes[name], name=name)
                tasks.start_soon(watchdog.run)
                tasks.start_soon(_heed, manager)
                await anyio.sleep(seconds)
                tasks.cancel_scope.cancel()

    with capture_logs() as logs:
        run_virtual(main)
    return [dict(entry) for entry in logs]


async def _heed(manager: ServiceManager) -> None:
    while True:
        manager.take()
        await anyio.sleep(1.0)


async def well(mailbox: Mailbox[str]) -> None:
    """Serve."""
    while True:
        await mailbox.arrival()
        mailbox.take_all()


async def stuck(mailbox: Mailbox[str]) -> None:
    """Serve once, then wait for what never comes."""
    await mailbox.arrival()
    await anyio.sleep_forever()


async def deaf(_: Mailbox[str]) -> None:
    """Never come to the mailbox."""
    await anyio.sleep_forever()


async def gone(mailbox: Mailbox[str]) -> None:
    """Serve once, and end."""
    await mailbox.arrival()


async def held_up(mailbox: Mailbox[str]) -> None:
    """Be slow at times, and never for too long."""
    while True:
        await mailbox.arrival()
        await anyio.sleep(WATCHDOG_S * 0.4)


def test_a_sign_of_life_comes_while_every_actor_answers(manager: ServiceManager) -> None:
    """Law: actors without any traffic answer too, for an hour, ten times in each of the watchdog's times."""
    assert watched(manager, 3600.0, a=well, b=well, c=held_up) == []
    assert len(manager.heard) >= 3600
    assert all(heard == {"WATCHDOG": "1"} for heard in manager.heard)


@pytest.mark.parametrize("hung", [stuck, deaf, gone])
def test_a_hung_actor_ends_the_signs_of_life_and_is_named(manager: ServiceManager, hung: Actor) -> None:
    """Law: within the watchdog's time the log names it and where it waits, and the manager is told to act."""
    logs = watched(manager, WATCHDOG_S * 0.8, a=well, b=hung)
    manager.take()
    heard = manager.heard
    assert heard[-1]["WATCHDOG"] == "trigger"
    assert heard[-1]["STATUS"].startswith("b hung")
    assert [log["actor"] for log in logs if log["event"] == "actor_hung" and log["log_level"] == "error"] == ["b"]
    assert sum(each == {"WATCHDOG": "1"} for each in heard) <= 6


def test_where_an_actor_hangs_is_told(manager: ServiceManager) -> None:
    """Law: the line holds a place in the code, and nothing of what the actor holds."""

    async def at_a_mailbox(_: Mailbox[str]) -> None:
        await Mailbox[str]().next()

    (log,) = watched(manager, WATCHDOG_S, a=at_a_mailbox)
    assert "tests/daemon/test_watchdog.py:" in log["waits_at"]
    assert "state/mailbox.py:" in log["waits_at"]


def test_who_comes_back_lets_the_signs_of_life_go_on(manager: ServiceManager) -> None:
    """Law: where nobody has acted meanwhile, an actor that answers again is well."""

    async def slow(mailbox: Mailbox[str]) -> None:
        await anyio.sleep(WATCHDOG_S)
        await well(mailbox)

    watched(manager, WATCHDOG_S * 2, a=slow)
    assert manager.heard[-1] == {"WATCHDOG": "1"}


def test_a_loop_that_was_held_up_is_well_as_soon_as_it_goes_on(manager: ServiceManager) -> None:
    """Law: after any block the first thing that is sent is a sign of life; nobody is named for it."""

    async def main() -> None:
        box = Mailbox[str]()
        with closing(Notifier(manager.environment(0.1))) as notifier:
            watchdog = Watchdog(notifier)
            watchdog.watch({"a": Watched(box.pulse)})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(well, box)
                tasks.start_soon(watchdog.run)
                for _ in range(3):
                    await anyio.sleep(0.02)
                    until = time.monotonic() + 0.09
                    while time.monotonic() < until:
                        pass
                await anyio.sleep(0.05)
                tasks.cancel_scope.cancel()

    with capture_logs() as logs:
        anyio.run(main)
    assert logs == []
    assert all(heard == {"WATCHDOG": "1"} for heard in manager.take())


class House:
    """Every actor of the daemon, over a real history; those in `hung` never come to their turn."""

    def __init__(self, folder: Path, hung: str = "") -> None:
        self.history = folder / "h.sqlite"
        self._hung = hung

    def logged(self, manager: ServiceManager, until: Callable[[ServiceManager], bool]) -> list[dict[str, Any]]:
        """Watch until the manager has heard enough; return what was logged of actors."""
        with capture_logs() as logs:
            anyio.run(self._run, manager, until)
        return [dict(log) for log in logs if log["event"] == "actor_hung"]

    async def _run(self, manager: ServiceManager, until: Callable[[ServiceManager], bool]) -> None:
        with closing(Notifier(manager.environment(0.2))) as notifier:
            async with anyio.create_task_group() as tasks:
                nothing = Configuration(providers={}, workloads={}, source="")
                past = Past(self.history, {}, demo_configuration)
                assembly = Assembly(nothing, past, Simulation(tasks, 1), StatusBoard(notifier))
                for name, actor in assembly.actors.items():
                    tasks.start_soon(anyio.sleep_forever if name == self._hung else actor.run, name=name)
                watchdog = Watchdog(notifier)
                watchdog.watch(assembly.watched)
                tasks.start_soon(watchdog.run)
                with anyio.fail_after(20):
                    await _true(until, manager)
                self.state = assembly.recorder.state
                tasks.cancel_scope.cancel()


async def _true(until: Callable[[ServiceManager], bool], manager: ServiceManager) -> None:
    while not until(manager):  # noqa: ASYNC110 - what is waited for comes by a socket
        await anyio.sleep(0.01)


ACTORS = ("recorder", "registry", "dispatcher", "prober", "sweep", "answers", "herald", "shadows")


@pytest.mark.parametrize("actor", ACTORS)
def test_whichever_actor_hangs_the_watchdog_acts(manager: ServiceManager, tmp_path: Path, actor: str) -> None:
    """Law: every actor is watched, with a pulse of its own."""

    def acted(manager: ServiceManager) -> bool:
        return any(heard.get("WATCHDOG") == "trigger" for heard in manager.take())

    assert [log["actor"] for log in House(tmp_path, actor).logged(manager, acted)] == [actor]


def test_all_actors_answer(manager: ServiceManager, tmp_path: Path) -> None:
    """Law: nobody is taken for hung who is well; and no actor is left out above."""

    def enough(manager: ServiceManager) -> bool:
        manager.take()
        return len(manager.heard) > 20

    assert House(tmp_path).logged(manager, enough) == []
    assert all(heard == {"WATCHDOG": "1"} for heard in manager.heard)


def test_a_disk_that_never_answers_kills_nobody_and_is_told(
    manager: ServiceManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: history never slows routing: a recorder that waits for its file is excused, for as long as that takes."""
    monkeypatch.setattr("state.history.writing._SLOW_S", 0.0)
    house = House(tmp_path)
    os.mkfifo(house.history)  # opening it waits for a writer, in the recorder's thread, as a dead disk would

    def enough(manager: ServiceManager) -> bool:
        manager.take()
        if len(manager.heard) <= 20:
            return False
        healed.append(os.open(house.history, os.O_RDWR | os.O_NONBLOCK))
        return True

    healed: list[int] = []
    assert house.logged(manager, enough) == []
    os.close(*healed)
    assert all(heard == {"WATCHDOG": "1"} for heard in manager.heard)
    assert (house.state.ok, "has not answered" in house.state.cause) == (False, True)


def test_the_file_knows_since_when_it_is_waited_for(tmp_path: Path) -> None:
    """Law: while nobody waits for the disk nothing is said against it."""

    async def main() -> None:
        file = HistoryFile(tmp_path / "h.sqlite")
        await file.open(0)
        assert (file.waits_since, file.delay) == (None, "")
        await file.close()

    anyio.run(main)
