"""A running registry between two mailboxes that a test reads, in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import anyio

from state.durations import Seconds
from state.history.rows import RecorderMessage, TransitionRow
from state.mailbox import Mailbox
from state.messages import HealthPublished, RegistryMessage
from state.policy import CooldownPolicy, HealthPolicy
from state.registry import Registry
from state.remembered import Remembered
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName
from tests.rigs.evidence import TARGET
from tests.rigs.virtual_time import run_virtual

__all__ = ["HOUSE_POLICY", "OTHER", "House", "in_house"]

HOUSE_POLICY = HealthPolicy(cooldown=CooldownPolicy(base=Seconds(10), max=Seconds(60)))
OTHER = TargetName("lab/fast")


class House:
    """A registry between two mailboxes that the test reads."""

    def __init__(
        self, targets: Mapping[TargetName, HealthPolicy], remembered: tuple[Remembered, ...], capacity: int | None
    ) -> None:
        self.mailbox = Mailbox[RegistryMessage](capacity)
        self.dispatcher = Mailbox[HealthPublished]()
        self.recorder = Mailbox[RecorderMessage]()
        known = {past.target: past for past in remembered}
        self.registry = Registry(self.mailbox, self.dispatcher.address, self.recorder.address, targets, known)

    async def say(self, *messages: RegistryMessage) -> None:
        """Post the messages together, and let the registry read them."""
        for message in messages:
            self.mailbox.address.post(message)
        await anyio.wait_all_tasks_blocked()

    async def until(self, at: float) -> None:
        """Let the time come, and the registry react to it."""
        await anyio.sleep(max(0.0, at - anyio.current_time()))
        await anyio.wait_all_tasks_blocked()

    def snapshots(self) -> list[HealthSnapshot]:
        """Return what was published since the last look."""
        return [message.snapshot for message in self.dispatcher.take_all()]

    def newest(self, target: TargetName = TARGET) -> TargetHealth:
        """Return the newest picture of a target."""
        return self.snapshots()[-1].targets[target]

    def rows(self) -> list[RecorderMessage]:
        """Return what was to be recorded since the last look."""
        return self.recorder.take_all()

    def standings(self) -> list[tuple[Standing, Standing]]:
        """Return the changes of standing since the last look; other rows are dropped."""
        return [(row.before, row.after) for row in self.rows() if isinstance(row, TransitionRow)]


def in_house(
    scene: Callable[[House], Awaitable[None]],
    *remembered: Remembered,
    targets: Mapping[TargetName, HealthPolicy] | None = None,
    capacity: int | None = None,
) -> None:
    """Play a scene with a running registry that has published its first snapshot."""

    async def main() -> None:
        house = House(targets or {TARGET: HOUSE_POLICY, OTHER: HOUSE_POLICY}, remembered, capacity)
        async with anyio.create_task_group() as group:
            group.start_soon(house.registry.run)
            await anyio.wait_all_tasks_blocked()
            await scene(house)
            group.cancel_scope.cancel()

    run_virtual(main)
