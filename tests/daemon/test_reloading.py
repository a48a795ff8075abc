"""A reload puts a configuration in force whole, or not at all, and says which."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from daemon.alerts.alarm import Alarm
from daemon.alerts.policy import AlertPolicy
from daemon.alerts.watch import Alert
from daemon.config.configuration import Configuration
from daemon.in_force import InForce
from daemon.limits.ledger import Ledger, Moment
from daemon.limits.policy import Limits
from daemon.limits.till import Till
from daemon.limits.watching import Watching
from daemon.metrics import Metrics
from daemon.reloading import Audience, Reload, Source
from daemon.routing.leases import DispatcherMessage
from daemon.simulation import Simulation
from probes.prober import ProberMessage
from probes.wire import Wires
from state.history.rows import RecorderMessage
from state.mailbox import Mailbox
from state.messages import RegistryMessage, TargetsReplaced

BEFORE = Configuration(providers={}, workloads={}, source="before")
AFTER = Configuration(providers={}, workloads={}, source="after")


class Stage:
    """A reload from `BEFORE` to `AFTER`, and the mailboxes that it posts to."""

    def __init__(self, tasks: anyio.abc.TaskGroup, room: int) -> None:
        self.registry = Mailbox[RegistryMessage](room)
        self.dispatcher = Mailbox[DispatcherMessage]()
        self.prober = Mailbox[ProberMessage]()
        self.metrics = Metrics("0")
        self.in_force = InForce(BEFORE)
        watching = Watching(
            self.metrics, Alarm(AlertPolicy, Mailbox[Alert]().address, Mailbox[RecorderMessage]().address, float)
        )
        self.till = Till(Ledger(Limits()), Mailbox[RecorderMessage]().address, lambda: Moment(0.0, 0.0), watching)
        audience = Audience(
            registry=self.registry.address,
            dispatcher=self.dispatcher.address,
            prober=self.prober.address,
            recorder=Mailbox[RecorderMessage]().address,
            wires=Wires(),
            metrics=self.metrics,
            till=self.till,
        )
        self.told: list[str] = []
        self.reload = Reload(Source(lambda: AFTER, Simulation(tasks, 1)), self.in_force, audience, self)

    def reloading(self) -> None:
        """Hear that a reload begins."""
        self.told.append("begins")

    def reloaded(self) -> None:
        """Hear that it has ended."""
        self.told.append("has ended")


def on_stage(scene: Callable[[Stage], Awaitable[None]], room: int) -> None:
    """Play a scene with a registry that has so much room in its mailbox."""

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            await scene(Stage(tasks, room))

    anyio.run(main)


def test_a_reload_tells_everyone() -> None:
    """The registry, the dispatcher and the prober hear of it, and it is in force."""

    async def scene(stage: Stage) -> None:
        assert await stage.reload.by("ada") == ()
        assert stage.in_force.configuration is AFTER
        assert [len(box) for box in (stage.registry, stage.dispatcher, stage.prober)] == [1, 1, 1]
        assert stage.told == ["begins", "has ended"]

    on_stage(scene, 1)


def test_a_reload_that_the_registry_has_no_room_for_fails_and_changes_nothing() -> None:
    """Routes without the health of their targets would serve nobody: so it is told, and done again."""

    async def scene(stage: Stage) -> None:
        stage.registry.put(TargetsReplaced(targets={}))
        (problem,) = await stage.reload.by("ada")
        assert "reload again" in problem
        assert (stage.in_force.configuration, stage.in_force.stale) == (BEFORE, (problem,))
        assert [len(box) for box in (stage.dispatcher, stage.prober)] == [0, 0]
        stage.registry.take_all()
        assert await stage.reload.by("ada") == ()
        assert (stage.in_force.configuration, stage.in_force.stale) == (AFTER, ())
        assert stage.told == ["begins", "has ended"] * 2

    on_stage(scene, 1)
