"""The gate before real sockets: a slow directory of names holds up nobody but who is to be named."""

from __future__ import annotations

import http.client
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest
from aiohttp import web

from daemon.access.gate import Gate
from daemon.access.names import Kind, Names, numbered, system_name
from daemon.access.roles import Access, Roles, Roster
from daemon.access.visitors import VISITOR
from daemon.config.configuration import Configuration
from daemon.doors.guard.policy import DoorPolicy
from daemon.doors.listening import Listeners
from daemon.doors.serving import Servers
from daemon.faces.front import Front
from daemon.in_force import InForce
from daemon.metrics import Metrics
from tests.rigs.process import Answer, Daemon

_NOBODY = Roster()
_SOMEBODY_ELSE = 4_321


def _own(kind: Kind, number: int) -> str:
    return system_name(kind, number) or numbered(kind, number)


class _Face:
    """A face that answers everything with who asked."""

    async def relay(self, request: web.BaseRequest, _: object) -> web.StreamResponse:
        return await self.answer(request)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        caller = request[VISITOR].caller
        return web.Response(text=f"{caller.user}/{caller.team}")


class _Directory:
    """A directory service that answers once it is let."""

    def __init__(self) -> None:
        self.asked, self.gate = threading.Event(), threading.Event()

    def look_up(self, kind: Kind, number: int) -> str | None:
        self.asked.set()
        assert self.gate.wait(30)
        return system_name(kind, number)


def _serving(folder: Path, access: Access, directory: _Directory, scene: Callable[[Daemon], Awaitable[None]]) -> None:
    """Play `scene` while a front with a gate serves a Unix socket."""
    listeners = Listeners.bind(folder / "d.sock", ())

    async def main() -> None:
        in_force = InForce(Configuration(providers={}, workloads={}, access=access, source="/etc/f.toml, /etc/g.toml"))
        face = _Face()
        gate = Gate(in_force, Names(anyio.current_time, directory.look_up))
        front = Front(gate, face, face, face, anyio.Event())  # type: ignore[arg-type]
        servers = Servers(listeners, front, DoorPolicy(max_body=1000), Metrics("test"))
        await servers.open()
        try:
            await scene(Daemon(folder, None))
        finally:
            directory.gate.set()
            await servers.close_doors()
            await servers.close()

    anyio.run(main, backend_options={"use_uvloop": True})


async def _ask(daemon: Daemon, method: str, path: str) -> Answer:
    return await anyio.to_thread.run_sync(daemon.ask, method, path)


def test_others_are_served_while_a_name_is_looked_up(tmp_path: Path) -> None:
    """Law: who is to be counted waits for its name; whoever only reads does not, for numbers decide the roles."""
    directory = _Directory()

    async def scene(daemon: Daemon) -> None:
        counted: list[Answer] = []

        async def count() -> None:
            counted.append(await _ask(daemon, "POST", "/v1/chat/completions"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            await anyio.to_thread.run_sync(directory.asked.wait)
            reading = await _ask(daemon, "GET", "/fairlead/v1/status")
            assert reading.body.decode() == f"uid {os.getuid()}/gid {os.getgid()}"
            assert counted == []
            directory.gate.set()
        assert counted[0].body.decode() == f"{_own(Kind.USER, os.getuid())}/{_own(Kind.GROUP, os.getgid())}"

    _serving(tmp_path, Access(), directory, scene)


@pytest.mark.skipif(os.geteuid() == 0, reason="root has every role; tests/daemon/test_access.py asks as another user")
def test_a_refusal_names_who_what_and_where(tmp_path: Path) -> None:
    """Law: whoever is refused can show the message to whoever can help."""
    directory = _Directory()
    directory.gate.set()
    roles = Roles(clients=_NOBODY, owner=_SOMEBODY_ELSE)

    async def scene(daemon: Daemon) -> None:
        refused = await _ask(daemon, "POST", "/v1/chat/completions")
        assert refused.status == http.client.FORBIDDEN
        message = refused.json()["error"]["message"]
        user = _own(Kind.USER, os.getuid())
        assert message.startswith(f"{user} may read but not send requests: that needs the role client. Have {user} or")
        assert message.endswith("added to daemon.clients in /etc/f.toml.")

    _serving(tmp_path, msgspec.structs.replace(Access(), roles=roles), directory, scene)
