"""A relay under test: real dispatcher, desk, wires and sweep, in front of scripted peers; its rows can be read."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from msgspec.structs import replace

from daemon.alerts.alarm import Alarm
from daemon.alerts.policy import AlertPolicy
from daemon.alerts.watch import Alert
from daemon.degraded.answers import AnswerMessage, AnswerStore
from daemon.degraded.shelf import Shelf
from daemon.lease_desk import LeaseDesk
from daemon.limits.ledger import Ledger, Moment
from daemon.limits.policy import Limits
from daemon.limits.till import Till
from daemon.limits.watching import Watching
from daemon.metrics import Metrics
from daemon.rehearsals import Rehearsals
from daemon.relay.calls import Answer, ClientCall, ClientLeft
from daemon.relay.curfew import Curfew
from daemon.relay.deadlines import DeadlineSweep
from daemon.relay.gear import Gear, Surroundings
from daemon.relay.journal import Witnesses
from daemon.relay.serving import served
from daemon.routing.policy import Routes, Strategy, TargetPlace, Workload
from probes.dialects.requests import RequestForm
from probes.policy import Dialect, Provider, Timeouts
from probes.surfaces import Surface
from probes.wire import Wires
from state.durations import Seconds
from state.history.rows import RecorderMessage
from state.mailbox import Mailbox
from state.messages import AttemptCompleted, HealthPublished, RegistryMessage
from state.prices import Price
from state.standing import HealthSnapshot, Standing, TargetHealth
from tests.rigs.hedging import FiguredDispatcher
from tests.rigs.peers import Peer, Script, peer

__all__ = ["Recorded", "Relay", "relay"]

QUICK = Timeouts(connect=Seconds(0.3), first_byte=Seconds(0.3), idle=Seconds(0.3), total=Seconds(5))


class Recorded:
    """A client that keeps what it is sent, and can leave or stop reading."""

    def __init__(self, leaves_after: int | None = None) -> None:
        """Leave after so many pieces."""
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.pieces: list[bytes] = []
        self.starts = 0
        """How often an answer was begun."""
        self._leaves_after = leaves_after

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Keep the head."""
        self.status, self.headers = status, headers
        self.starts += 1

    async def write(self, piece: bytes) -> None:
        """Keep a piece, or be gone."""
        if self._leaves_after is not None and len(self.pieces) >= self._leaves_after:
            raise ClientLeft
        self.pieces.append(piece)

    @property
    def body(self) -> bytes:
        """Everything that came."""
        return b"".join(self.pieces)


class Relay:
    """Sends calls through sessions, and shows what they left behind."""

    def __init__(self, peers: list[Peer], dialect: Dialect, timeouts: Timeouts, prices: tuple[float, ...] = ()) -> None:
        """Route to `peers` in order, as the workload `w` over the targets `p0/m`, `p1/m` and so on.

        `prices` are what each asks for a million tokens, in or out; where there are fewer the price is unknown.
        """
        suffix = "/v1" if dialect is Dialect.OPENAI else ""
        self.providers = {
            f"p{number}": Provider(
                name=f"p{number}",
                dialect=dialect,
                base_url=one.base_url.removesuffix("/v1") + suffix,
                models=("m",),
                timeouts=timeouts,
            )
            for number, one in enumerate(peers)
        }
        targets = tuple(target for provider in self.providers.values() for target in provider.targets)
        self.workload = Workload(name="w", targets=targets, strategy=Strategy.PRIORITY, max_wait=Seconds(0.2))
        self.prices = {target: Price(input=usd, output=usd) for target, usd in zip(targets, prices, strict=False)}
        places = {
            target: TargetPlace(
                provider=target.partition("/")[0], dialect=dialect, max_in_flight=9, price=self.prices.get(target)
            )
            for target in targets
        }
        self.routes = Routes(workloads={"w": self.workload}, places=places)
        self.rows: Mailbox[RecorderMessage] = Mailbox()
        self.besides: dict[str, Any] = {}
        """What else surrounds sessions, as in Surroundings: `payers`, `model`, `shadows`."""
        self.evidence: Mailbox[RegistryMessage] = Mailbox()
        self.answers: Mailbox[AnswerMessage] = Mailbox()
        self.rehearsals = Rehearsals()
        self.curfew = Curfew()
        self.ledger = Ledger(Limits())
        self.wall = time.time
        self.alerts: Mailbox[Alert] = Mailbox()
        self.wires = Wires()
        self.sweep = DeadlineSweep(time.monotonic)
        self.box = box = Mailbox[Any]()
        self.metrics = Metrics("test")
        self.dispatcher = FiguredDispatcher(box, self.routes, 1)
        self.desk = LeaseDesk(box.address, self.dispatcher)
        healths = {target: TargetHealth(target=target, standing=Standing.HEALTHY) for target in targets}
        box.put(HealthPublished(snapshot=HealthSnapshot(targets=healths)))

    async def send(self, client: Recorded | None = None, **more: Any) -> Answer | None:
        """Send one call; `surface`, `streamed`, `workload`, `deadline`, `fallback_allowed` as in ClientCall."""
        streamed = more.get("streamed", False)
        body = json.dumps({"model": "w", "stream": streamed, "messages": []}).encode()
        call = ClientCall(
            **{
                "request_id": "req_1",
                "surface": Surface.CHAT,
                "workload": self.workload,
                "model": "w",
                "streamed": streamed,
                "headers": (("content-type", "application/json"),),
                "query": "",
                "body": body,
                "arrived_at": time.monotonic(),
                **more,
            }
        )
        return await served(call, client or Recorded(), self.around())

    def around(self) -> Surroundings:
        """Return what sessions are surrounded by."""
        alarm = Alarm(AlertPolicy, self.alerts.address, self.rows.address, time.monotonic)
        witnesses = Witnesses(self.evidence.address, self.rows.address, self.metrics, alarm, time.monotonic)
        gear = Gear(self.wires, self.sweep, time.monotonic, time.time)
        forms = {name: RequestForm(provider) for name, provider in self.providers.items()}
        shelf = Shelf(self.answers.address, time.time)
        watching = Watching(self.metrics, alarm)
        till = Till(self.ledger, self.rows.address, lambda: Moment(time.monotonic(), self.wall()), watching)
        plain = Surroundings(
            self.desk, gear, witnesses, self.providers, forms, self.rehearsals, shelf, self.curfew, till, self.prices
        )
        return replace(plain, **self.besides)

    def row(self, kind: type) -> Any:
        """Return the only row of a kind."""
        (found,) = self.all_rows(kind)
        return found

    def all_rows(self, kind: type) -> list[Any]:
        """Return the rows of a kind."""
        return [row for row in self.rows._waiting if isinstance(row, kind)]

    def faults(self) -> list[str | None]:
        """Return what the registry was told of each attempt."""
        told = [message for message in self.evidence._waiting if isinstance(message, AttemptCompleted)]
        return [message.outcome.fault.value if message.outcome.fault else None for message in told]

    async def idle(self) -> bool:
        """Return whether every lease came back."""
        return not any((await self.desk.view()).in_flight.values())


@asynccontextmanager
async def relay(
    *scripts: Script | tuple[Script, ...],
    dialect: Dialect = Dialect.OPENAI,
    timeouts: Timeouts = QUICK,
    answers: Path | None = None,
    prices: tuple[float, ...] = (),
) -> AsyncIterator[tuple[Relay, list[Peer]]]:
    """Give a relay in front of one peer for each script, or tuple of scripts; it keeps answers at `answers`."""
    async with AsyncExitStack() as stack:
        all_of = [script if isinstance(script, tuple) else (script,) for script in scripts]
        peers = [await stack.enter_async_context(peer(*each)) for each in all_of]
        one = Relay(peers, dialect, timeouts, prices)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.dispatcher.run)
            tasks.start_soon(one.sweep.run)
            if answers is not None:
                tasks.start_soon(AnswerStore(one.answers, answers, time.time).run)
            try:
                with anyio.fail_after(20):
                    yield one, peers
            finally:
                await one.wires.aclose()
                tasks.cancel_scope.cancel()
