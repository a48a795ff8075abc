"""The composition root: the only module that builds actors, and the only one that knows which mailbox is whose."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from daemon.config.configuration import Configuration
from daemon.dispatcher import Dispatcher
from daemon.faces.client import ClientFace
from daemon.faces.control import ControlFace
from daemon.faces.front import Front
from daemon.faces.operating import Controls
from daemon.faces.vitals import Vitals
from daemon.in_force import InForce
from daemon.lease_desk import LeaseDesk
from daemon.metrics import Metrics
from daemon.relay.deadlines import DeadlineSweep
from daemon.relay.exchange import Gear
from daemon.relay.journal import Witnesses
from daemon.relay.session import Surroundings
from daemon.reloading import Audience, Reload
from daemon.routing.leases import DispatcherMessage
from daemon.simulation import Simulation
from daemon.version import VERSION
from probes.prober import Prober, ProberMessage, ProvidersReplaced
from probes.wire import Wires
from state.history.recorder import Recorder
from state.history.rows import RecorderMessage
from state.mailbox import Mailbox
from state.messages import RegistryMessage
from state.registry import Registry
from state.remembered import Remembered
from state.targets import TargetName

__all__ = ["WIRING", "Assembly", "Mailboxes", "Past"]

_QUESTIONS_WAITING = 1_000
_EVIDENCE_WAITING = 10_000
_ROWS_WAITING = 20_000

WIRING: Final[Mapping[str, tuple[str, ...]]] = {
    "prober": ("registry",),
    "registry": ("dispatcher", "recorder"),
    "dispatcher": (),
    "recorder": (),
    "session": ("dispatcher", "registry", "recorder"),
    "control": ("dispatcher", "registry", "prober", "recorder"),
}
"""Who posts to whom. It has no circle, so that full mailboxes cannot deadlock."""


class Mailboxes:
    """The four queues. The dispatcher's is unbounded: a lost release would leak a slot for ever."""

    def __init__(self) -> None:
        """Start with all of them empty."""
        self.prober: Mailbox[ProberMessage] = Mailbox(_QUESTIONS_WAITING)
        self.registry: Mailbox[RegistryMessage] = Mailbox(_EVIDENCE_WAITING)
        self.dispatcher: Mailbox[DispatcherMessage] = Mailbox()
        self.recorder: Mailbox[RecorderMessage] = Mailbox(_ROWS_WAITING)


class Past(msgspec.Struct, frozen=True):
    """What comes from before and from outside: the history's file, what it remembers, how to read a configuration."""

    history: Path
    remembered: Mapping[TargetName, Remembered]
    load: Callable[[], Configuration]
    """Reads the configuration anew. Raises ConfigError where it is invalid."""


class Assembly:
    """Everything that runs, put together and not yet started."""

    def __init__(self, configuration: Configuration, past: Past, simulation: Simulation) -> None:
        """Build the actors for `configuration`, with what a former run left behind."""
        boxes = Mailboxes()
        self.clock = time.monotonic
        self.in_force = InForce(configuration)
        self.metrics = Metrics(VERSION)
        self.wires = Wires()
        self.sweep = DeadlineSweep(self.clock)
        self.boxes = boxes
        seed = random.SystemRandom().getrandbits(32)
        self.recorder = Recorder(boxes.recorder, past.history, configuration.history, time.time)
        self.registry = Registry(
            boxes.registry, boxes.dispatcher.address, boxes.recorder.address, configuration.policies, past.remembered
        )
        self.dispatcher = Dispatcher(boxes.dispatcher, configuration.routes, seed)
        self.desk = LeaseDesk(boxes.dispatcher.address, self.dispatcher)
        self.prober = Prober(boxes.prober, boxes.registry.address, self.wires.open, random.Random(seed))  # noqa: S311
        boxes.prober.put(ProvidersReplaced(providers=tuple(configuration.providers.values())))
        audience = Audience(
            registry=boxes.registry.address,
            dispatcher=boxes.dispatcher.address,
            prober=boxes.prober.address,
            recorder=boxes.recorder.address,
            wires=self.wires,
            metrics=self.metrics,
        )
        self.reload = Reload(past.load, self.in_force, audience, simulation)
        self.front = self._front()

    def _front(self) -> Front:
        controls = Controls(
            desk=self.desk,
            registry=self.boxes.registry.address,
            prober=self.boxes.prober.address,
            recorder=self.boxes.recorder.address,
            recorder_state=lambda: self.recorder.state,
            reload=self.reload.by,
            version=VERSION,
            started_at=self.clock(),
        )
        gear = Gear(upstream=self.wires, sweep=self.sweep, clock=self.clock, wall=time.time)
        witnesses = Witnesses(
            registry=self.boxes.registry.address,
            recorder=self.boxes.recorder.address,
            metrics=self.metrics,
            clock=self.clock,
        )

        def around() -> Surroundings:
            providers = self.in_force.configuration.providers
            return Surroundings(self.desk, gear, witnesses, providers, self.in_force.forms)

        return Front(
            ClientFace(self.in_force, around, self.clock),
            ControlFace(controls, self.in_force, self.clock),
            Vitals(self.desk, self.metrics, lambda: self.recorder.state, self.clock),
        )
