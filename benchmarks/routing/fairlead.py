"""The daemon's own decisions on the virtual clock: its records, its choice, its chain, its hedges and its canaries.

Nothing here decides. What the actors do between two decisions is done here by callbacks instead of mailboxes.
"""

from __future__ import annotations

from benchmarks.routing.engine import Attempt, Engine, Reply, Request
from benchmarks.routing.evidence import outcome_of
from benchmarks.routing.journey import Journey
from benchmarks.routing.knowledge import Knowledge
from daemon.routing.hedging import HedgeBudget
from daemon.routing.policy import Routes, TargetPlace, Workload
from daemon.routing.traffic import Traffic
from probes.canaries import Canaries, Sight
from probes.policy import Dialect, ProbePolicy, ProbeSetting
from probes.prober import LOOK_S
from state.durations import Seconds
from state.faults import Fault
from state.messages import ProbeCompleted
from state.outcome import Outcome, ProbeKind
from state.targets import TargetName, target_name

__all__ = ["MAX_WAIT", "Fairlead"]

MAX_WAIT = Seconds(45)
"""How long the benchmark's requests wait for a target: as long as a client would, rather than fail."""
_TICK_S = 0.25
_PROBE_TIMEOUT_S = 5.0


class Fairlead:
    """The policy under test."""

    name = "fairlead"

    def __init__(self, seed: int) -> None:
        """Draw with `seed`."""
        self.seed = seed
        self.traffic = Traffic()
        self.canaries = Canaries()
        self.budget: HedgeBudget = HedgeBudget()
        self.asked_at = 0.0
        self.look_at = 0.0
        self.tickets = 0
        self.waiting: dict[int, Journey] = {}

    def begin(self, engine: Engine) -> None:
        """Meet the providers."""
        self.engine = engine
        self.targets = [target_name(name, "model") for name in engine.providers]
        self.places = {target: index for index, target in enumerate(self.targets)}
        self.knowledge = Knowledge(self.targets)
        self.workload = Workload(
            name="benchmark", targets=tuple(self.targets), max_wait=MAX_WAIT, hedge=True, max_attempts=3
        )
        self.routes = Routes(
            workloads={"benchmark": self.workload},
            places={
                target: TargetPlace(provider=target.partition("/")[0], dialect=Dialect.OPENAI, max_in_flight=10_000)
                for target in self.targets
            },
        )
        self.probing = {target: ProbePolicy(kind=ProbeSetting.CANARY) for target in self.targets}
        engine.at(0.0, self._tick)

    def arrive(self, request: Request) -> None:
        """Take up a request."""
        self.budget = self.budget.after_request()
        Journey(self, request).go_on()

    def serve_line(self) -> None:
        """Let those who wait ask again, the oldest first."""
        for journey in list(self.waiting.values()):
            journey.go_on()

    def _tick(self) -> None:
        now = self.engine.now
        if now >= self.look_at:
            self._send_canaries(now)
            self.look_at = now + LOOK_S
        self.serve_line()
        if now < self.engine.trace.duration or self.waiting:
            self.engine.at(now + _TICK_S, self._tick)

    def _send_canaries(self, now: float) -> None:
        """Look as often as the prober does: what must be confirmed after a second often is after two."""
        counts = self.traffic.tally.targets
        sight = Sight(snapshot=self.knowledge.snapshot(now), in_flight=counts, asked_at=self.asked_at)
        while (target := self.canaries.due(self.probing, sight, now)) is not None:
            self.canaries.sent(target, self.probing[target], now)
            _Canary(self, target).go()


class _Canary:
    """One canary under way."""

    def __init__(self, policy: Fairlead, target: TargetName) -> None:
        self._policy = policy
        self._target = target
        self._first_s: float | None = None

    def go(self) -> None:
        engine = self._policy.engine
        self._started_at = engine.now
        self._attempt = engine.send(self._policy.places[self._target], self, None)
        self._timer = engine.at(engine.now + _PROBE_TIMEOUT_S, self._late)

    def began(self, _attempt: Attempt, at: float) -> None:
        self._first_s = at - self._started_at

    def ended(self, _attempt: Attempt, reply: Reply) -> None:
        self._timer.cancel()
        self._learn(outcome_of(reply, streamed=True, first_s=self._first_s))

    def _late(self) -> None:
        self._attempt.cancel()
        self._learn(Outcome(fault=Fault.TIMEOUT, latency_s=_PROBE_TIMEOUT_S))

    def _learn(self, outcome: Outcome) -> None:
        now = self._policy.engine.now
        self._policy.canaries.ended(self._target, 0.0)
        self._policy.knowledge.learn(
            ProbeCompleted(
                target=self._target, kind=ProbeKind.CANARY, outcome=outcome, started_at=self._started_at, at=now
            )
        )
        self._policy.serve_line()
