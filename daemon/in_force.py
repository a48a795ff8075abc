"""The configuration in force: read by every new request, replaced as a whole by a reload."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from daemon.access.visitors import Visitors
from daemon.config.configuration import Configuration
from daemon.relay.billing import Payers, payers_of
from daemon.routing.policy import Routes, Workload
from probes.dialects.requests import RequestForm

__all__ = ["InForce"]


def _learn(workloads: Iterable[Workload]) -> None:
    """Load now what only some workloads need, so that none of their requests waits for it."""
    for workload in workloads:
        if workload.cascade is not None or workload.shadow is not None:
            import_module("probes.dialects.judging").prepare()
        if workload.tiers is not None:
            import_module("daemon.routing.complexity.heuristic")


class InForce:
    """Holds one configuration and what is derived from it. Its owner is the lifecycle; everyone else only reads."""

    def __init__(self, configuration: Configuration) -> None:
        """Put `configuration` in force."""
        self.replace(configuration)

    def replace(self, configuration: Configuration) -> None:
        """Put another configuration in force; requests under way keep the values that they hold."""
        self.configuration = configuration
        self.routes: Routes = configuration.routes
        self.prices = {target: place.price for target, place in self.routes.places.items() if place.price is not None}
        self.payers: Payers = payers_of(self.routes)
        self.forms = {name: RequestForm(provider) for name, provider in configuration.providers.items()}
        self.visitors = Visitors(configuration.access, configuration.keys)
        self.stale: tuple[str, ...] = ()
        _learn(configuration.workloads.values())

    def keep(self, problems: tuple[str, ...]) -> None:
        """Note that a newer configuration was refused for `problems`, and this one is still in force."""
        self.stale = problems
