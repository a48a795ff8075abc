"""The simulated providers that the daemon runs itself, each on a private Unix socket beside the daemon's own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import structlog

from probes.policy import Dialect, Provider
from probes.simulated import SimulatedServer, behaviour_of

__all__ = ["Simulation", "placed"]

_log = structlog.get_logger("fairlead.simulation")


def placed(provider: Provider, folder: Path) -> Provider:
    """Return `provider` with its address: a simulated one is found on a socket in `folder`."""
    if provider.dialect is not Dialect.SIMULATED:
        return provider
    return msgspec.structs.replace(provider, base_url=f"unix://{folder / f'simulated-{provider.name}.sock'}")


class Simulation:
    """Starts and stops simulated providers as the configuration names them."""

    def __init__(self, tasks: anyio.abc.TaskGroup, seed: int) -> None:
        """Run the servers in `tasks`; `seed` fixes their luck."""
        self._tasks = tasks
        self._seed = seed
        self._running: dict[Provider, anyio.CancelScope] = {}

    async def follow(self, providers: Iterable[Provider]) -> None:
        """Have exactly the simulated ones of `providers` running, and listening when this returns."""
        wanted = {provider for provider in providers if provider.dialect is Dialect.SIMULATED}
        for provider in set(self._running) - wanted:
            self._running.pop(provider).cancel()
        for provider in wanted - set(self._running):
            self._running[provider] = await self._tasks.start(self._serve, provider)
            _log.info("simulation_started", provider=provider.name, socket=provider.base_url)

    async def _serve(
        self, provider: Provider, *, task_status: anyio.abc.TaskStatus[anyio.CancelScope] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        path = provider.base_url.removeprefix("unix://")
        server = SimulatedServer({model: behaviour_of(model) for model in provider.models}, self._seed)
        with anyio.CancelScope() as scope:
            async with server.at(Path(path)):
                task_status.started(scope)
                await anyio.sleep_forever()
