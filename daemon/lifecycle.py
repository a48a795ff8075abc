"""The life of the process: start-up in order, readiness, reload, and an end that drops no request and no row."""

from __future__ import annotations

import faulthandler
import gc
import os
import random
import signal
import time
from collections.abc import Callable
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
from daemon.service.activation import inherited
from daemon.service.notify import Notifier
from daemon.simulation import Simulation, placed
from probes.canaries import Spent
from state.history.recollection import Recollection, recollect
from state.history.spending import recollect_spending
from state.standing import HealthSnapshot, Standing

__all__ = ["Places", "live", "placed_configuration"]

_log = structlog.get_logger("fairlead")
_FLUSH_S = 5.0
_STATUS_S = 2.0
_LAST_WORDS_S = 2.0
"""What is cut off is told so: longer than a relay gives a client that does not read."""


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


def live(configuration: Configuration, places: Places, load: Callable[[], Configuration]) -> None:
    """Run the daemon with `configuration` until it is told to end; `load` reads a newer one and may raise ConfigError.

    Raises ListenError where it cannot listen.
    """
    faulthandler.enable()
    listeners = _bind(configuration, places)
    anyio.run(_live, configuration, places, listeners, load, backend_options={"use_uvloop": True})


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


async def _live(
    configuration: Configuration, places: Places, listeners: Listeners, load: Callable[[], Configuration]
) -> None:
    notifier = Notifier(os.environ)
    now = anyio.current_time()
    past = recollect(places.history, now=now, wall_now=time.time(), policies=configuration.policies)
    _say_recalled(past)
    async with anyio.create_task_group() as tasks:
        simulation = Simulation(tasks, random.SystemRandom().getrandbits(32))
        await simulation.follow(configuration.providers.values())
        spending = recollect_spending(places.history, time.time())
        past_of = Past(places.history, past.remembered, load, spending, _spent(past))
        assembly = Assembly(configuration, past_of, simulation)
        for actor in assembly.actors:
            tasks.start_soon(actor.run, name=type(actor).__name__)
        view = await assembly.desk.view()
        servers = Servers(listeners, assembly.front, raise_limit(configuration.daemon.doors), assembly.metrics)
        assembly.metrics.watch_connections(lambda: servers.keeper.connections)
        tasks.start_soon(servers.keeper.run)
        gc.freeze()  # what is there now stays; a full collection would hold the loop for as long as it takes to pass it
        await servers.open()
        notifier.ready(_status_line(view.snapshot))
        _log.info("ready", socket=listeners.path, listen=listeners.addresses, targets=len(configuration.policies))
        tasks.start_soon(_keep_posted, assembly, notifier)
        await _until_told_to_end(assembly, notifier)
        await _end(assembly, servers, notifier)
        tasks.cancel_scope.cancel()


def _spent(past: Recollection) -> tuple[Spent, ...]:
    return tuple(Spent(paid.target, paid.at, paid.usd) for paid in past.paid_probes)


def _say_recalled(past: Recollection) -> None:
    """Say what came back from the history, and whether the last run could end it properly."""
    if past.trouble:
        _log.warning("history_not_recalled", reason=past.trouble)
    if past.remembered:
        standings = {target: remembered.standing.value for target, remembered in past.remembered.items()}
        _log.info("history_recalled", standings=standings, outcomes=past.outcomes, after_a_crash=past.unclean)


async def _until_told_to_end(assembly: Assembly, notifier: Notifier) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async for number in signals:
            if number != signal.SIGHUP:
                _log.info("stopping", signal=signal.Signals(number).name)
                return
            notifier.reloading()
            await assembly.reload.by("SIGHUP")
            notifier.ready(_status_line((await assembly.desk.view()).snapshot))


async def _end(assembly: Assembly, servers: Servers, notifier: Notifier) -> None:
    grace = assembly.in_force.configuration.daemon.drain_grace
    notifier.stopping("finishing the requests under way")
    await servers.close_doors()
    with anyio.move_on_after(grace) as waiting:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_hurry_up, waiting)
            await assembly.front.empty()
            tasks.cancel_scope.cancel()
    if waiting.cancelled_caught:
        _log.warning("requests_cut_off", drain_grace_s=float(grace))
        assembly.curfew.fall()
        with anyio.move_on_after(_LAST_WORDS_S):
            await assembly.front.empty()
    assembly.shadows.close()
    await servers.close()
    await assembly.wires.aclose()
    with anyio.move_on_after(_FLUSH_S):
        await assembly.recorder.close()


async def _hurry_up(waiting: anyio.CancelScope) -> None:
    """Let a second signal end the waiting: a person who presses Ctrl-C twice means it."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            waiting.cancel()


async def _keep_posted(assembly: Assembly, notifier: Notifier) -> None:
    """Tell systemd a line worth reading, and that the loop and the dispatcher still answer."""
    period = min(_STATUS_S, (notifier.watchdog_s or _STATUS_S * 2) / 2)
    while True:
        view = await assembly.desk.view()
        assembly.alarm.look(view.snapshot)
        assembly.till.publish()
        notifier.status(_status_line(view.snapshot))
        notifier.alive()
        await anyio.sleep(period)


def _status_line(snapshot: HealthSnapshot) -> str:
    targets = snapshot.targets.values()
    well = sum(health.ready for health in targets)
    cooling = [
        f"{health.target} cooling {max(0.0, (health.until or snapshot.at) - snapshot.at):.0f}s"
        for health in targets
        if health.standing is Standing.COOLING
    ]
    return ", ".join([f"{well}/{len(targets)} targets ready", *cooling])
