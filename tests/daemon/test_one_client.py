"""One client that asks for one thing at a time: there is never a second request to compare with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from daemon.routing.leases import RouteQuery
from daemon.routing.policy import Routes, TargetPlace, Workload
from daemon.routing.selection import choose
from daemon.routing.strategies.strategy import Turn
from daemon.routing.traffic import Traffic
from probes.policy import Dialect
from probes.surfaces import Surface
from state.health import begin, fold, tick
from state.messages import AnswerBegan, AttemptCompleted
from state.outcome import Outcome
from state.policy import HealthPolicy
from state.record import Record, view
from state.standing import HealthSnapshot
from state.targets import TargetName, provider_of

A, B = TargetName("a/m"), TargetName("b/m")
WORKLOAD = Workload(name="w", targets=(A, B))
ROUTES = Routes(
    workloads={"w": WORKLOAD},
    places={
        target: TargetPlace(provider=provider_of(target), dialect=Dialect.OPENAI, max_in_flight=9) for target in (A, B)
    },
)
QUERY = RouteQuery(request_id="r", workload=WORKLOAD, surface=Surface.CHAT, streamed=True, max_tokens=200)
POLICY = HealthPolicy()
Provider = Callable[[float], float]
"""The seconds that a first token takes at a time."""


class Client:
    """Sends streams of a hundred tokens, the next a second after the last has ended."""

    def __init__(self, **providers: Provider) -> None:
        """Meet providers of whom nothing is known."""
        self.now = 1000.0
        self.providers = {TargetName(f"{name}/m"): provider for name, provider in providers.items()}
        self.records = {target: Record(target=target, since=self.now) for target in self.providers}
        self.traffic = Traffic()
        self.sent: list[TargetName] = []

    def ask(self, times: int) -> list[TargetName]:
        """Send so many requests and return where they went."""
        for _ in range(times):
            self._send()
        return self.sent[-times:]

    def _send(self) -> None:
        now = self.now
        self.records = {target: tick(record, POLICY, now) for target, record in self.records.items()}
        healths = {target: view(record, now) for target, record in self.records.items()}
        choice = choose(QUERY, ROUTES, HealthSnapshot(targets=healths), self.traffic.load(Turn(), now), now)
        target = choice.chosen
        assert target is not None
        _, departure = self.traffic.depart(len(self.sent), choice, QUERY, healths[target], now)
        first_s = self.providers[target](now)
        self.traffic.answered(len(self.sent))
        outcome = Outcome(status=200, first_byte_s=first_s, latency_s=first_s + 1.0, streamed=True, tokens=100)
        sight = {"target": target, "started_at": now, "in_flight": departure.in_flight, "idle_s": departure.idle_s}
        record = begin(self.records[target], AnswerBegan(**sight, first_s=first_s, at=now + first_s), POLICY)
        self.now += outcome.latency_s
        self.traffic.end(len(self.sent), self.now)
        self.records[target] = fold(record, AttemptCompleted(**sight, outcome=outcome, at=self.now, began=True), POLICY)
        self.sent.append(target)
        self.now += 1.0


@pytest.mark.parametrize("slow_s", [3.0, 5.0, 9.0, 25.0])
def test_a_brownout_is_left_within_a_few_requests(slow_s: float) -> None:
    """Without a hedge, a canary or a second request: the answers alone say that the best is the best no more."""
    began_at = 1100.0
    client = Client(a=lambda now: 0.5 if now < began_at else slow_s, b=lambda _: 0.8)
    while client.now < began_at:
        client.ask(1)
    assert set(client.sent[-10:]) == {A}
    after = client.ask(50)
    assert after.count(A) <= 4
    assert set(after[-30:]) == {B}


def test_both_newcomers_are_tried_and_the_faster_is_kept() -> None:
    """One request each says enough where they differ by a factor of two."""
    client = Client(a=lambda _: 1.6, b=lambda _: 0.5)
    assert set(client.ask(2)) == {A, B}
    assert client.ask(20).count(B) >= 18
