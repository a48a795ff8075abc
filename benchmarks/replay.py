"""100,000 random choices, recorded and made again: `make replay`.

A dispatcher chooses for random workloads over a random fleet whose health changes all the time; the real recorder
writes each choice down; `fairlead replay` makes all of them again, in a process of its own. Every one must come out
alike, within a minute.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec

from benchmarks.verdict import Verdict
from daemon.dispatcher import Dispatcher
from daemon.replay.fingerprint import fingerprint
from daemon.routing.leases import (
    Choice,
    DispatcherMessage,
    Lease,
    LeaseReleased,
    LeaseRequested,
    NoLease,
    RouteQuery,
    RoutesReplaced,
)
from daemon.routing.policy import Routes, Strategy, TargetPlace, Workload
from probes.dialects.needs import Needs
from probes.policy import Abilities, Dialect
from probes.surfaces import Surface
from state.durations import Seconds
from state.faults import DEFAULT_FALLBACK_ON, Fault
from state.history.recorder import Recorder
from state.history.rows import DecisionRow, FlushRequested, RecorderMessage
from state.mailbox import Mailbox, Reply
from state.messages import HealthPublished
from state.policy import HistoryPolicy
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName, provider_of

__all__ = ["main"]

_CHOICES: Final = 100_000
_SEED: Final = 20_261
_AT_ONCE: Final = 30
"""Leases that are held at a time."""
_RENEWED_EVERY: Final = 20
"""Choices from one state of the fleet."""
_FLUSHED_EVERY: Final = 2_000
_TIME_S: Final = 300
_REPLAY_S: Final = 60
_USUAL: Final = 0.85
"""How often nothing special is the matter with a target."""
_TARGETS: Final = tuple(TargetName(f"p{number // 3}/m{number}") for number in range(18))
_FEATURES: Final = ("tools", "images", "json_schema", "seed")


class Luck:
    """Fleets, workloads and requests by chance, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        """Begin the sequence."""
        self._random = random.Random(seed)  # noqa: S311 - a benchmark's luck is no secret

    def _some(self, *values: Any) -> Any:
        return self._random.choice(values)

    def _time(self, now: float) -> float | None:
        if self._random.random() < _USUAL:
            return None
        return self._some(now + self._random.expovariate(0.2), now - 1.0, math.inf)

    def routes(self) -> Routes:
        """Return places for all targets, and forty workloads over some of them."""
        workloads = {f"w{number}": self._workload(f"w{number}") for number in range(40)}
        places = {target: self._place(target) for target in _TARGETS if self._random.random() < 0.98}
        return Routes(workloads=workloads, places=places)

    def snapshot(self, now: float) -> HealthSnapshot:
        """Return some health of every target."""
        return HealthSnapshot(at=now, targets={target: self._health(target, now) for target in _TARGETS})

    def query(self, number: int, routes: Routes) -> RouteQuery:
        """Return a request for one of the workloads, its first attempt or a later one."""
        workload = self._some(*routes.workloads.values())
        tried = self._some((), (), (), (workload.targets[0],))
        features = frozenset(self._random.sample(_FEATURES, self._some(0, 0, 1)))
        return RouteQuery(
            request_id=f"req_{number:012}",
            workload=workload,
            surface=self._some(*[Surface.CHAT] * 5, Surface.MESSAGES),
            number=len(tried) + 1,
            tried=tried,
            last_resort=self._some(None, None, None, *workload.targets[1:2]),
            elsewhere=self._random.random() < 0.95,
            fallback_on=self._some(DEFAULT_FALLBACK_ON, (*DEFAULT_FALLBACK_ON, Fault.AUTH), ()),
            needs=Needs(self._some(0, 1_000, 4_000, 90_000), features),
            more_than=self._some(*[0] * 9, 8_000),
        )

    def _workload(self, name: str) -> Workload:
        targets = tuple(self._random.sample(_TARGETS, self._some(1, 2, 3, 3, 4, 5)))
        strategy = self._some(*Strategy)
        weights = tuple(self._random.uniform(0.1, 9.0) for _ in targets) if self._random.random() < 0.5 else ()
        return Workload(name=name, targets=targets, strategy=strategy, weights=weights, max_wait=Seconds(0))

    def _place(self, target: TargetName) -> TargetPlace:
        abilities = Abilities(
            context_window=self._some(None, None, 8_000, 128_000), lacks=self._some((), (), ("images", "tools"))
        )
        dialect = self._some(*[Dialect.OPENAI] * 4, Dialect.ANTHROPIC, Dialect.SIMULATED)
        limit = self._some(4, 16, 64)
        return TargetPlace(provider=provider_of(target), dialect=dialect, max_in_flight=limit, abilities=abilities)

    def _health(self, target: TargetName, now: float) -> TargetHealth:
        standing = self._some(*Standing, *[Standing.HEALTHY] * 4)
        fault = self._some(None, *Fault)
        return TargetHealth(
            target=target,
            standing=standing,
            since=now - self._random.random(),
            until=now + self._random.random() if standing is Standing.COOLING else None,
            cause=self._some("3 faults in a row", "a request succeeded", "größte Mühe"),
            drained=self._random.random() < 0.05,
            drained_until=self._time(now),
            drain_reason=self._some("", "budget"),
            blocked_until=self._time(now),
            blocked_by=self._some(None, Fault.RATE_LIMITED, Fault.QUOTA, Fault.OVERLOADED),
            refused_until=self._time(now),
            refused_by=self._some(None, Fault.AUTH, Fault.MODEL_NOT_FOUND),
            fell_on=fault,
            expected_s=self._some(None, *[self._random.lognormvariate(0, 1)] * 9, math.inf),
            p50_s=self._random.random(),
            samples=self._random.randrange(64),
            success_ratio=self._random.random(),
            last_fault=fault,
        )


class Choosing:
    """A dispatcher under random load, and the rows of all its choices."""

    def __init__(self, box: Mailbox[DispatcherMessage], rows: Mailbox[RecorderMessage]) -> None:
        """Choose through `box`, write to `rows`."""
        self._box, self._rows = box, rows
        self._luck = Luck(_SEED)
        self._routes = self._luck.routes()
        self.dispatcher = Dispatcher(box, self._routes, _SEED)
        self._held: list[int] = []
        self.chosen = 0
        """How many choices found a target."""

    async def make(self, count: int) -> None:
        """Make `count` choices and see them written."""
        for number in range(count):
            if number % _RENEWED_EVERY == 0:
                self._box.put(HealthPublished(snapshot=self._luck.snapshot(anyio.current_time())))
            await self._one(number)
            if number % _FLUSHED_EVERY == _FLUSHED_EVERY - 1 or number == count - 1:
                await self._flush()
                self._routes = self._luck.routes()
                self._box.put(RoutesReplaced(routes=self._routes))

    async def _one(self, number: int) -> None:
        query = self._luck.query(number, self._routes)
        reply: Reply[Lease | NoLease] = Reply()
        self._box.put(LeaseRequested(ticket=number, query=query, reply=reply))
        answer = await reply.wait()
        if isinstance(answer, Lease):
            self.chosen += 1
            self._held.append(number)
        if len(self._held) > _AT_ONCE:
            self._box.put(LeaseReleased(ticket=self._held.pop(number % _AT_ONCE)))
        self._rows.put(_row(query, answer.choice, anyio.current_time()))

    async def _flush(self) -> None:
        written: Reply[bool] = Reply()
        self._rows.put(FlushRequested(reply=written))
        await written.wait()


def _row(query: RouteQuery, choice: Choice, at: float) -> DecisionRow:
    """Return the row as the journal of a request posts it."""
    return DecisionRow(
        at=at,
        request_id=query.request_id,
        number=query.number,
        chosen=choice.chosen,
        strategy=choice.strategy.value,
        reason=choice.reason,
        candidates=msgspec.json.encode(choice.candidates),
        seed=choice.seed,
        setting=choice.setting,
        code=fingerprint(),
    )


async def _record(history: Path, count: int) -> int:
    """Make and record the choices; return how many of them found a target."""
    box: Mailbox[DispatcherMessage] = Mailbox()
    rows: Mailbox[RecorderMessage] = Mailbox()
    choosing = Choosing(box, rows)
    recorder = Recorder(rows, history, HistoryPolicy(decisions_per_second=10**9), time.time)
    with anyio.fail_after(_TIME_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(choosing.dispatcher.run)
            tasks.start_soon(recorder.run)
            await choosing.make(count)
            await recorder.close()
            tasks.cancel_scope.cancel()
    return choosing.chosen


def _replayed(history: Path) -> tuple[dict[str, Any], int]:
    """Return what `fairlead replay` says, and its exit code."""
    command = [sys.executable, "-m", "daemon.cli.main", "replay", "--since", "1h", "--history", str(history), "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_TIME_S)
    return json.loads(done.stdout or "{}"), done.returncode


def main() -> int:
    """Run, print the verdict, and return 0 where every figure holds, else 1."""
    verdict = Verdict()
    with tempfile.TemporaryDirectory(prefix="fairlead-replay-") as name:
        history = Path(name) / "history.sqlite"
        began = time.monotonic()
        chosen = anyio.run(partial(_record, history, _CHOICES))
        verdict.told("choosing and recording, s", round(time.monotonic() - began, 1))
        verdict.told("bytes of history a choice", round(history.stat().st_size / _CHOICES))
        verdict.at_least("choices that found a target", chosen, _CHOICES / 3)
        began = time.monotonic()
        told, code = _replayed(history)
        took_s = time.monotonic() - began
    verdict.exactly("choices replayed", told.get("replayed", 0), _CHOICES)
    verdict.exactly("choices reproduced", told.get("reproduced", 0), _CHOICES)
    verdict.exactly("exit code of fairlead replay", code, 0)
    verdict.at_most("replaying all of them, s", round(took_s, 1), _REPLAY_S)
    return verdict.close()


if __name__ == "__main__":
    sys.exit(main())
