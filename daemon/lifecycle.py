"""The life of the process: start-up in order, readiness, reload, and an end that drops no request and no row."""

from __future__ import annotations

import faulthandler
import gc
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import structlog

from daemon.assembly import Assembly, Past
from daemon.config.configuration import Configuration
from daemon.doors.guard.descriptors import raise_limit
from daemon.doors.listening import Listeners
from daemon.doors.serving import Servers
from daemon.doors.sockets import ListenError
from daemon.ending import Farewell, end, leave_threads
from daemon.logs.configuring import tell_left_out
from daemon.recalling import recalled
from daemon.service.activation import inherited
from daemon.service.board import StatusBoard
from daemon.service.notify import Notifier
from daemon.service.orders import Orders
from daemon.service.status_line import RECALLING, Known, status_line
from daemon.service.watchdog import Watchdog
from daemon.simulation import Simulation, placed
from state.errors import HistoryError
from state.history.claim import claim

__all__ = ["Places", "live", "placed_configuration"]

_log = structlog.get_logger("fairlead")
_LOOK_S = 2.0
"""Between two looks at what nobody tells: keys that probes found refused, and budgets whose day has ended."""


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where this daemon is found and where it writes."""

    socket: Path
    """Where it listens, unless a socket unit does that for it."""
    runtime: Path
    """Its own folder for sockets that no client uses."""
    history: Path
    listen: tuple[tuple[str, int], ...] | None = None
    """TCP addresses that the command line named; None leaves it to the configuration."""
    default_listen: tuple[tuple[str, int], ...] = ()
    """Where it listens when nobody says anything, if nobody else does."""


def placed_configuration(configuration: Configuration, places: Places) -> Configuration:
    """Return `configuration` with the addresses of its simulated providers, in the daemon's own folder."""
    providers = {name: placed(provider, places.runtime) for name, provider in configuration.providers.items()}
    return msgspec.structs.replace(configuration, providers=providers)


def live(configuration: Configuration, places: Places, load: Callable[[], Configuration], notifier: Notifier) -> None:
    """Run the daemon with `configuration` until it is told to end; `load` reads a newer one and may raise ConfigError.

    Raises ListenError where it cannot listen, HistoryError where another daemon writes the same history.
    """
    faulthandler.enable()
    listeners = _bind(configuration, places)
    try:
        claimed = claim(places.history)
    except HistoryError:
        listeners.close()
        raise
    life = _Life(configuration, places, listeners, load, notifier)
    anyio.run(life.run, backend_options={"use_uvloop": True})
    if claimed is not None:
        os.close(claimed)
    leave_threads()


def _bind(configuration: Configuration, places: Places) -> Listeners:
    passed = inherited(os.environ)
    named = configuration.daemon.listen if places.listen is None else places.listen
    if named is not None or passed.tcp:
        return Listeners.bind(places.socket, named or (), passed)
    try:
        return Listeners.bind(places.socket, places.default_listen, passed)
    except ListenError as error:
        listeners = Listeners.bind(places.socket, (), passed)
        _log.warning("listen_skipped", reason=str(error))
        return listeners


class _Life:
    """One run, from the bound sockets to the last row. A signal may end it at any moment, also before it is ready."""

    def __init__(
        self,
        configuration: Configuration,
        places: Places,
        listeners: Listeners,
        load: Callable[[], Configuration],
        notifier: Notifier,
    ) -> None:
        self._configuration = configuration
        self._places = places
        self._listeners = listeners
        self._load = load
        self._notifier = notifier

    async def run(self) -> None:
        """Start, serve until told to end, and end."""
        self._notifier.status(RECALLING)
        async with anyio.create_task_group() as tasks:
            self._orders = Orders()
            await tasks.start(self._orders.run)
            self._board = StatusBoard(self._notifier)
            started = await self._orders.unless_ended(partial(self._start, tasks))
            if started is None:
                self._listeners.close()
            else:
                await self._serve(*started, tasks)
            tasks.cancel_scope.cancel()

    async def _start(self, tasks: anyio.abc.TaskGroup) -> tuple[Assembly, Servers]:
        configuration, history = self._configuration, self._places.history
        memory = await recalled(history, configuration.policies, self._notifier)
        simulation = Simulation(tasks, random.SystemRandom().getrandbits(32))
        await simulation.follow(configuration.providers.values())
        past = Past(history, memory.past.remembered, self._load, memory.spending, memory.spent)
        assembly = Assembly(configuration, past, simulation, self._board)
        for name, actor in assembly.actors.items():
            tasks.start_soon(actor.run, name=name)
        line = await _line(assembly)
        servers = Servers(self._listeners, assembly.front, raise_limit(configuration.daemon.doors), assembly.metrics)
        assembly.metrics.watch_connections(lambda: servers.keeper.connections)
        tasks.start_soon(servers.keeper.run)
        gc.collect()
        gc.freeze()  # what is there now stays; a full collection would hold the loop for as long as it takes to pass it
        await servers.open()
        self._board.open(line)
        _log.info(
            "ready",
            socket=self._listeners.path,
            listen=self._listeners.addresses,
            targets=len(configuration.policies),
        )
        return assembly, servers

    async def _serve(self, assembly: Assembly, servers: Servers, tasks: anyio.abc.TaskGroup) -> None:
        watchdog = Watchdog(self._notifier)
        watchdog.watch(assembly.watched)
        tasks.start_soon(watchdog.run)
        tasks.start_soon(self._board.run, partial(_line, assembly))
        tasks.start_soon(_look_around, assembly)
        tasks.start_soon(self._reload, assembly)
        await self._orders.end.wait()
        self._board.close()
        await end(assembly, servers, Farewell(self._notifier, self._orders, watchdog))

    async def _reload(self, assembly: Assembly) -> None:
        """Reload on each SIGHUP, beside everything else: one that reads a slow disk holds up no end."""
        while True:
            await self._orders.reload()
            await assembly.reload.by("SIGHUP")


async def _line(assembly: Assembly) -> str:
    view = await assembly.desk.view()
    known = Known(view, assembly.recorder.state, assembly.in_force.stale, assembly.clock())
    return status_line(known)


async def _look_around(assembly: Assembly) -> None:
    while True:
        assembly.alarm.look((await assembly.desk.view()).snapshot)
        assembly.till.publish()
        tell_left_out()
        await anyio.sleep(_LOOK_S)
