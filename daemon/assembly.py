"""The composition root: the only module that builds actors, and the only one that knows which mailbox is whose."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

import anyio
import msgspec

from daemon.access.gate import Gate
from daemon.access.names import Names
from daemon.alerts.alarm import Alarm
from daemon.alerts.delivery import Herald
from daemon.alerts.policy import AlertPolicy
from daemon.alerts.watch import Alert
from daemon.config.configuration import Configuration
from daemon.control.face import ControlFace
from daemon.control.operating import Controls, Tail
from daemon.degraded.answers import AnswerMessage, AnswerStore
from daemon.degraded.shelf import Shelf
from daemon.dispatcher import Dispatcher
from daemon.faces.client import ClientFace
from daemon.faces.front import Front
from daemon.faces.vitals import Vitals
from daemon.in_force import InForce
from daemon.lease_desk import LeaseDesk
from daemon.limits.ledger import Ledger, Moment
from daemon.limits.till import Till
from daemon.limits.watching import Watching
from daemon.metrics import Metrics
from daemon.rehearsals import Rehearsals
from daemon.relay.curfew import Curfew
from daemon.relay.deadlines import DeadlineSweep
from daemon.relay.gear import Gear, Surroundings
from daemon.relay.journal import Witnesses
from daemon.reloading import Audience, Reload, Source
from daemon.replay.fingerprint import fingerprint
from daemon.routing.leases import DispatcherMessage
from daemon.service.board import Overhearing, StatusBoard
from daemon.service.watchdog import Watched
from daemon.shadow.copies import Copied
from daemon.shadow.shadows import Shadows
from daemon.simulation import Simulation
from daemon.triage.model import ModelClassifier
from daemon.version import VERSION
from probes.canaries import Spent
from probes.prober import Prober, ProberMessage, ProvidersReplaced, Traffic
from probes.wire import Wires
from state.history.recorder import Recorder
from state.history.rows import RecorderMessage
from state.history.spending import Spending
from state.mailbox import Mailbox
from state.messages import RegistryMessage
from state.registry import Registry
from state.remembered import Remembered
from state.targets import TargetName

__all__ = ["WIRING", "Assembly", "Mailboxes", "Past", "Runs"]

_QUESTIONS_WAITING = 1_000
_EVIDENCE_WAITING = 10_000
_ROWS_WAITING = 20_000
_ANSWERS_WAITING = 1_000
_ALERTS_WAITING = 100
_COPIES_WAITING = 32

WIRING: Final[Mapping[str, tuple[str, ...]]] = {
    "prober": ("registry",),
    "registry": ("dispatcher", "recorder"),
    "dispatcher": (),
    "recorder": (),
    "answers": (),
    "herald": (),
    "shadow": ("dispatcher", "registry", "recorder", "answers", "herald"),
    "session": ("dispatcher", "registry", "recorder", "answers", "herald", "shadow"),
    "control": ("dispatcher", "registry", "prober", "recorder", "herald"),
}
"""Who posts to whom. It has no circle, so that full mailboxes cannot deadlock."""


class Mailboxes:
    """The queues. The dispatcher's is unbounded: a lost release would leak a slot for ever."""

    def __init__(self) -> None:
        """Start with all of them empty."""
        self.prober: Mailbox[ProberMessage] = Mailbox(_QUESTIONS_WAITING)
        self.registry: Mailbox[RegistryMessage] = Mailbox(_EVIDENCE_WAITING)
        self.dispatcher: Mailbox[DispatcherMessage] = Mailbox()
        self.recorder: Mailbox[RecorderMessage] = Mailbox(_ROWS_WAITING)
        self.answers: Mailbox[AnswerMessage] = Mailbox(_ANSWERS_WAITING)
        self.herald: Mailbox[Alert] = Mailbox(_ALERTS_WAITING)
        self.shadow: Mailbox[Copied] = Mailbox(_COPIES_WAITING)


class Past(msgspec.Struct, frozen=True):
    """What comes from before and from outside: the history's file, what it remembers, how to read a configuration."""

    history: Path
    remembered: Mapping[TargetName, Remembered]
    load: Callable[[], Configuration]
    """Reads the configuration anew. Raises ConfigError where it is invalid."""
    spending: Spending = Spending()
    """What the history knows of money."""
    spent: tuple[Spent, ...] = ()
    """What canaries have cost within the last day."""


class Runs(Protocol):
    """What lives in a task of its own."""

    async def run(self) -> None:
        """Live until cancelled."""
        ...


class Assembly:
    """Everything that runs, put together and not yet started."""

    def __init__(self, configuration: Configuration, past: Past, simulation: Simulation, board: StatusBoard) -> None:
        """Build the actors for `configuration`, with what a former run left behind; `board` hears what changes."""
        boxes = Mailboxes()
        self.clock = time.monotonic
        self.in_force = InForce(configuration)
        self.metrics = Metrics(VERSION)
        self.wires = Wires()
        self.sweep = DeadlineSweep(self.clock)
        self.curfew = Curfew()
        self.boxes = boxes
        seed = random.SystemRandom().getrandbits(32)
        self.recorder = Recorder(boxes.recorder, past.history, configuration.history, time.time)
        heard = Overhearing(boxes.dispatcher.address, board)
        self.registry = Registry(boxes.registry, heard, boxes.recorder.address, configuration.policies, past.remembered)
        self.dispatcher = Dispatcher(boxes.dispatcher, configuration.routes, seed)
        self.answers = AnswerStore(boxes.answers, past.history.with_name("answers.sqlite"), time.time)
        self.rehearsals = Rehearsals()
        self.alarm = Alarm(self._alert_policy, boxes.herald.address, boxes.recorder.address, self.clock)
        self.herald = Herald(boxes.herald, self._alert_policy, time.time, VERSION)
        self.till = self._till(configuration, past)
        self.desk = LeaseDesk(boxes.dispatcher.address, self.dispatcher)
        luck = random.Random(seed)  # noqa: S311 - jitter
        traffic = Traffic(self.dispatcher.sight, past.spent)
        self.prober = Prober(boxes.prober, boxes.registry.address, self.wires.open, luck, traffic)
        boxes.prober.put(ProvidersReplaced(providers=tuple(configuration.providers.values())))
        audience = Audience(
            registry=boxes.registry.address,
            dispatcher=boxes.dispatcher.address,
            prober=boxes.prober.address,
            recorder=boxes.recorder.address,
            wires=self.wires,
            metrics=self.metrics,
            till=self.till,
        )
        self.reload = Reload(Source(past.load, simulation), self.in_force, audience, board)
        self.around = self._around()
        self.shadows = Shadows(boxes.shadow, self.around)
        self.front = self._front()

    def _till(self, configuration: Configuration, past: Past) -> Till:
        watching = Watching(self.metrics, self.alarm)
        till = Till(
            Ledger(configuration.limits),
            self.boxes.recorder.address,
            lambda: Moment(self.clock(), time.time()),
            watching,
        )
        till.replace(configuration.limits)
        till.recall(past.spending)
        return till

    def _alert_policy(self) -> AlertPolicy:
        return self.in_force.configuration.alerts

    @property
    def actors(self) -> Mapping[str, Runs]:
        """Everything that has to be started, by name."""
        return {
            "recorder": self.recorder,
            "registry": self.registry,
            "dispatcher": self.dispatcher,
            "prober": self.prober,
            "sweep": self.sweep,
            "answers": self.answers,
            "herald": self.herald,
            "shadows": self.shadows,
        }

    @property
    def watched(self) -> Mapping[str, Watched]:
        """How each of the actors shows that it lives."""
        boxes = self.boxes
        return {
            "recorder": Watched(boxes.recorder.pulse, lambda: self.recorder.waits_on_disk),
            "registry": Watched(boxes.registry.pulse),
            "dispatcher": Watched(boxes.dispatcher.pulse),
            "prober": Watched(boxes.prober.pulse),
            "sweep": Watched(self.sweep.pulse),
            "answers": Watched(boxes.answers.pulse, lambda: self.answers.waits_on_disk),
            "herald": Watched(boxes.herald.pulse),
            "shadows": Watched(boxes.shadow.pulse),
        }

    def _around(self) -> Callable[[], Surroundings]:
        gear = Gear(upstream=self.wires, sweep=self.sweep, clock=self.clock, wall=time.time)
        witnesses = Witnesses(
            registry=self.boxes.registry.address,
            recorder=self.boxes.recorder.address,
            metrics=self.metrics,
            alarm=self.alarm,
            clock=self.clock,
            code=fingerprint(),
        )

        shelf = Shelf(self.boxes.answers.address, time.time)

        def around() -> Surroundings:
            providers = self.in_force.configuration.providers
            forms = self.in_force.forms
            return Surroundings(
                self.desk,
                gear,
                witnesses,
                providers,
                forms,
                self.rehearsals,
                shelf,
                self.curfew,
                self.till,
                self.in_force.prices,
                payers=self.in_force.payers,
                model=model,
                shadows=self.boxes.shadow.address,
            )

        model = ModelClassifier(lambda: self.in_force.routes, around)
        return around

    def _front(self) -> Front:
        stopping = anyio.Event()
        controls = Controls(
            desk=self.desk,
            registry=self.boxes.registry.address,
            prober=self.boxes.prober.address,
            recorder=self.boxes.recorder.address,
            recorder_state=lambda: self.recorder.state,
            spent_usd=self.prober.spent_usd,
            budgets=self.till.budgets,
            reload=self.reload.by,
            version=VERSION,
            started_at=self.clock(),
            rehearsals=self.rehearsals,
            alarm=self.alarm,
            tail=Tail(lambda: self.recorder.state.path, stopping, time.time),
        )
        return Front(
            Gate(self.in_force, Names(self.clock)),
            ClientFace(self.in_force, self.around, self.clock),
            ControlFace(controls, self.in_force, self.clock),
            Vitals(self.desk, self.metrics, lambda: self.recorder.state, self.clock),
            stopping,
        )
