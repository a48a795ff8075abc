"""Swapping the configuration while requests are under way: validated first, then put in force as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import anyio
import anyio.to_thread
import msgspec
import structlog

from daemon.config.configuration import Configuration
from daemon.in_force import InForce
from daemon.limits.till import Till
from daemon.metrics import Metrics
from daemon.routing.leases import DispatcherMessage, RoutesReplaced
from daemon.simulation import Simulation
from probes.prober import ProberMessage, ProvidersReplaced
from probes.wire import Wires
from state.errors import ConfigError
from state.history.rows import OperationRow, RecorderMessage
from state.mailbox import Address
from state.messages import RegistryMessage, TargetsReplaced

__all__ = ["Announces", "Audience", "Reload", "Source"]

_log = structlog.get_logger("fairlead.reload")


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """Who has to hear of a new configuration."""

    registry: Address[RegistryMessage]
    dispatcher: Address[DispatcherMessage]
    prober: Address[ProberMessage]
    recorder: Address[RecorderMessage]
    wires: Wires
    metrics: Metrics
    till: Till

    def tell(self, configuration: Configuration) -> tuple[str, ...]:
        """Post the parts of `configuration` that each actor lives by: health first, so that routes find theirs.

        Return why nobody was told, or nothing where all were.
        """
        if not self.registry.post(TargetsReplaced(targets=configuration.policies)):
            return ("the health registry is too busy to hear of a new configuration: reload again",)
        self.dispatcher.post(RoutesReplaced(routes=configuration.routes))
        if not self.prober.post(ProvidersReplaced(providers=tuple(configuration.providers.values()))):
            _log.error("prober_not_told", remedy="it goes on checking the providers of before: reload again")
        self.wires.keep(configuration.providers.values())
        self.till.replace(configuration.limits)
        self.metrics.reload_succeeded()
        return ()


class Source(msgspec.Struct, frozen=True):
    """Where a new configuration comes from, and what must run before it can be in force."""

    load: Callable[[], Configuration]
    """Reads it, secrets and all. Raises ConfigError where it is invalid."""
    simulation: Simulation


class Announces(Protocol):
    """Whoever tells the service manager that a reload is under way."""

    def reloading(self) -> None:
        """Tell that it begins."""
        ...

    def reloaded(self) -> None:
        """Tell that it has ended, in whatever way."""
        ...


class Reload:
    """Replaces the configuration in force by the one that a source gives."""

    def __init__(self, source: Source, in_force: InForce, audience: Audience, announcer: Announces) -> None:
        """Read from `source`, and have each reload told by `announcer`, whoever asked for it."""
        self._source = source
        self._in_force = in_force
        self._audience = audience
        self._announcer = announcer
        self._one_at_a_time = anyio.Lock()

    async def by(self, who: str) -> tuple[str, ...]:
        """Swap on behalf of `who` and return no problems, or keep what is in force and return every problem."""
        async with self._one_at_a_time:
            self._announcer.reloading()
            try:
                return await self._swap(who)
            finally:
                self._announcer.reloaded()

    async def _swap(self, who: str) -> tuple[str, ...]:
        try:
            # Whoever waits may leave, and the daemon may end, while a disk that is slow is read.
            configuration = await anyio.to_thread.run_sync(self._source.load, abandon_on_cancel=True)
        except ConfigError as error:
            return self._refused(error.problems, who)
        simulation = self._source.simulation
        await simulation.follow(configuration.providers.values())
        if problems := self._audience.tell(configuration):
            await simulation.follow(self._in_force.configuration.providers.values())
            return self._refused(problems, who)
        self._say_what_changed(configuration)
        self._in_force.replace(configuration)
        self._audience.recorder.post(
            OperationRow(at=anyio.current_time(), verb="reload", target=None, by=who, reason=configuration.source)
        )
        _log.info("reloaded", by=who, source=configuration.source, targets=len(configuration.policies))
        return ()

    def _refused(self, problems: tuple[str, ...], who: str) -> tuple[str, ...]:
        """Note that what is in force stays so, for `problems`, and return them."""
        self._in_force.keep(problems)
        self._audience.metrics.reload_failed()
        _log.error("reload_refused", by=who, problems=problems)
        return problems

    def _say_what_changed(self, configuration: Configuration) -> None:
        """Say whose key is another one, never which, and what a reload does not bring into force."""
        now = self._in_force.configuration
        keys = {name: provider.api_key for name, provider in now.providers.items()}
        if renewed := [each.name for each in configuration.providers.values() if each.api_key != keys.get(each.name)]:
            _log.info("keys_changed", providers=renewed)
        changed = [
            name
            for name, differs in (
                ("daemon.listen", configuration.daemon.listen != now.daemon.listen),
                ("the bounds of connections in daemon", configuration.daemon.doors != now.daemon.doors),
                ("daemon.log_level", configuration.daemon.log_level != now.daemon.log_level),
                ("daemon.log_format", configuration.daemon.log_format != now.daemon.log_format),
                ("history", configuration.history != now.history),
            )
            if differs
        ]
        if changed:
            _log.warning("restart_needed", changed=changed)
