"""The configuration that the daemon lives by: every reference resolved, every value checked."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from daemon.access.roles import Access, Role
from daemon.alerts.policy import AlertPolicy
from daemon.config.settings import LogFormat
from daemon.doors.guard.policy import DoorPolicy
from daemon.limits.caller import Caller
from daemon.limits.policy import Limits
from daemon.routing.policy import Routes, TargetPlace, Workload
from probes.policy import Provider
from state.durations import Seconds
from state.policy import HealthPolicy, HistoryPolicy
from state.targets import TargetName, split_target

__all__ = ["ClientKey", "Configuration", "DaemonPolicy"]


class DaemonPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How the process behaves."""

    listen: tuple[tuple[str, int], ...] | None = None
    """TCP addresses; None where the configuration says nothing."""
    drain_grace: Seconds = Seconds(30)
    doors: DoorPolicy = DoorPolicy()
    """How much of the daemon one connection, one peer and all of them may take up."""
    log_level: str = "info"
    log_format: LogFormat = "auto"


class ClientKey(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a client over TCP somebody: a key of which only the SHA-256 is known."""

    name: str
    digest: bytes
    caller: Caller
    role: Role = Role.CLIENT
    speaks: bool = False
    """Whether its holder may say for whom a request is."""


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """One valid configuration."""

    providers: Mapping[str, Provider]
    workloads: Mapping[str, Workload]
    daemon: DaemonPolicy = DaemonPolicy()
    access: Access = msgspec.field(default_factory=Access)
    keys: tuple[ClientKey, ...] = ()
    history: HistoryPolicy = HistoryPolicy()
    alerts: AlertPolicy = AlertPolicy()
    limits: Limits = Limits()
    source: str = ""
    """The files that it came from, or `environment`, or `demo`."""
    warnings: tuple[str, ...] = ()

    @property
    def routes(self) -> Routes:
        """What the dispatcher chooses among."""
        places = {
            target: TargetPlace(
                provider=provider.name,
                dialect=provider.dialect,
                max_in_flight=provider.max_in_flight,
                abilities=provider.abilities_of(split_target(target)[1]),
                price=provider.price_of(split_target(target)[1]),
                billing=provider.billing,
            )
            for provider in self.providers.values()
            for target in provider.targets
        }
        return Routes(workloads=self.workloads, places=places)

    @property
    def policies(self) -> Mapping[TargetName, HealthPolicy]:
        """Every target, with the health policy of its provider."""
        return {target: provider.judged_by for provider in self.providers.values() for target in provider.targets}
