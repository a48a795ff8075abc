"""Names of users and groups: looked up once in ten minutes, in a thread, and never waited for without a bound."""

from __future__ import annotations

import grp
import os
import pwd
import threading
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest

from daemon.access.names import Kind, Names, system_name
from tests.rigs.virtual_time import run_virtual


class _Directory:
    """A directory service that counts its questions and answers with what it is told to know."""

    def __init__(self, *names: str | None) -> None:
        self.asked: list[tuple[Kind, int]] = []
        self.now = 0.0
        self._names = list(names)

    def clock(self) -> float:
        return self.now

    def look_up(self, kind: Kind, number: int) -> str | None:
        self.asked.append((kind, number))
        return self._names.pop(0) if len(self._names) > 1 else self._names[0]


def _run(scene: Callable[[], Awaitable[None]]) -> None:
    anyio.run(scene, backend_options={"use_uvloop": True})


def test_the_systems_names_are_told() -> None:
    """Law: a user and a group with the same number are two."""
    assert system_name(Kind.USER, os.getuid()) == pwd.getpwuid(os.getuid()).pw_name
    group = grp.getgrall()[-1]
    assert system_name(Kind.GROUP, group.gr_gid) == group.gr_name
    assert system_name(Kind.USER, 3_999_999_998) is None


def test_a_name_is_asked_for_once_until_it_is_old() -> None:
    """Law: a busy caller costs one look-up in ten minutes; a renamed one is known by its new name after that."""
    service = _Directory("ada", "eve")
    names = Names(service.clock, service.look_up)

    async def scene() -> None:
        assert [await names.user(7), await names.user(7)] == ["ada", "ada"]
        service.now = 599.0
        assert await names.user(7) == "ada"
        service.now = 601.0
        assert await names.user(7) == "eve"
        assert service.asked == [(Kind.USER, 7)] * 2

    _run(scene)


def test_who_has_no_name_is_called_by_the_number() -> None:
    """Law: no name is made up; one that was known is kept where the system has forgotten it."""
    service = _Directory(None, "ada", None)
    names = Names(service.clock, service.look_up)

    async def scene() -> None:
        assert await names.group(7) == "gid 7"
        assert await names.user(7) == "ada"
        service.now = 601.0
        assert await names.user(7) == "ada"

    _run(scene)


def test_many_at_once_ask_once() -> None:
    """Law: a thousand first requests of one user are one question to the directory."""
    service = _Directory("ada")
    names = Names(service.clock, service.look_up)

    async def scene() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(1000):
                tasks.start_soon(names.user, 7)
        assert len(service.asked) == 1

    _run(scene)


def test_what_is_kept_has_a_bound() -> None:
    """Law: the oldest name goes when there are too many."""
    service = _Directory("somebody")
    names = Names(service.clock, service.look_up)

    async def scene() -> None:
        for number in range(4100):
            await names.user(number)
        assert len(names._known) == 4096
        assert (Kind.USER, 0) not in names._known

    _run(scene)


def test_a_directory_that_hangs_holds_nobody_up_for_long() -> None:
    """Law: after five seconds a caller goes by its number, and others do not wait again until it is asked anew."""
    gate = threading.Event()

    def hang(_: Kind, __: int) -> str:
        gate.wait(30)
        return "ada"

    async def scene() -> None:
        names = Names(anyio.current_time, hang)
        before = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(names.user, 7)
        assert await names.user(7) == "uid 7"
        assert await names.groups(range(100, 120)) == [f"gid {number}" for number in range(100, 120)]
        assert anyio.current_time() - before < 11
        gate.set()

    try:
        run_virtual(scene)
    finally:
        gate.set()


@pytest.mark.parametrize("kept", ["ada", "eve"])
def test_who_leaves_while_a_name_is_looked_up_leaves_it_to_the_next(kept: str) -> None:
    """Law: a client that hangs up during the look-up does not make its successor nameless."""
    began, gate = threading.Event(), threading.Event()

    def slow(_: Kind, __: int) -> str:
        began.set()
        gate.wait(30)
        return kept

    async def scene() -> None:
        names = Names(anyio.current_time, slow)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(names.user, 7)
            while not began.is_set():
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        gate.set()
        assert await names.user(7) == kept

    _run(scene)


def test_no_more_than_four_look_ups_hang_at_once_and_one_for_each_name() -> None:
    """Law: a thread that nobody waits for any more is still there; a dead directory service costs four, for ever."""
    asked: list[int] = []
    alive = threading.Event()

    def hang(_: Kind, number: int) -> None:
        asked.append(number)
        alive.wait()

    async def scene() -> None:
        names = Names(anyio.current_time, hang)
        for number in (1, 1, 1, 2, 3, 4, 5, 6):
            with anyio.move_on_after(0.1):
                await names.user(number)
        assert asked == [1, 2, 3, 4]
        alive.set()
        assert await names.user(5) == "uid 5"
        assert asked == [1, 2, 3, 4, 5]

    try:
        _run(scene)
    finally:
        alive.set()
