"""The prober in virtual time: who is due, how often, what a finding means, and what it may cost."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from probes.calls import Unreachable, UpstreamRequest
from probes.canaries import Sight, Spent
from probes.checks import Finding, judge
from probes.policy import Dialect, ProbePolicy, ProbeSetting, Provider
from probes.prober import Prober, ProbeRequested, ProberMessage, ProvidersReplaced, Traffic
from probes.schedule import MIN_GAP_S, Errand, Schedule
from state.durations import Seconds
from state.faults import Fault
from state.mailbox import Mailbox, Reply
from state.messages import ProbeCompleted, RegistryMessage
from state.outcome import Outcome, ProbeKind
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName
from tests.rigs.virtual_time import run_virtual

_LISTING = b'{"object":"list","data":[{"id":"m"},{"id":"n"}]}'


def _provider(name: str, kind: ProbeSetting, **more: object) -> Provider:
    probe = ProbePolicy(**{"kind": kind, "every": Seconds(30), "timeout": Seconds(5), **more})
    base_url = "http://127.0.0.1:9/v1"
    return Provider(name=name, dialect=Dialect.OPENAI, base_url=base_url, models=("m", "n"), probe=probe)


class _Answer:
    """An answer whose body is already there."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": "application/json"}
        self.connect_s = 0.0
        self._pieces = [body, b""]

    async def read(self) -> bytes:
        return self._pieces.pop(0)

    async def aclose(self) -> None:
        return None


class _Rig:
    """A prober whose calls are answered by a function of the test's."""

    def __init__(
        self, open_call: Callable[[Provider, UpstreamRequest], Awaitable[object]], traffic: Traffic | None = None
    ) -> None:
        self.box: Mailbox[ProberMessage] = Mailbox()
        self.found: Mailbox[RegistryMessage] = Mailbox()
        self.calls: list[tuple[float, str, UpstreamRequest]] = []

        async def counted(provider: Provider, request: UpstreamRequest) -> object:
            self.calls.append((anyio.current_time(), provider.name, request))
            return await open_call(provider, request)

        self.prober = Prober(self.box, self.found.address, counted, random.Random(3), traffic or Traffic())

    def run_for(self, seconds: float, *providers: Provider, ask: ProbeRequested | None = None) -> list[ProbeCompleted]:
        """Let the prober work for a while and return what it found."""

        async def main() -> None:
            self.box.put(ProvidersReplaced(providers=providers))
            if ask is not None:
                self.box.put(ask)
            with anyio.move_on_after(seconds):
                await self.prober.run()

        run_virtual(main)
        return self.found.take_all()


async def _lists(_: Provider, __: UpstreamRequest) -> _Answer:
    return _Answer(200, _LISTING)


def test_a_catalog_tells_of_every_target_of_its_provider_and_comes_again() -> None:
    """Law: one free call serves all models, about every 30 s."""
    rig = _Rig(_lists)
    found = rig.run_for(310, _provider("p", ProbeSetting.CATALOG))
    assert 9 <= len(rig.calls) <= 14
    assert {completed.target for completed in found} == {"p/m", "p/n"}
    assert all(completed.outcome.succeeded for completed in found)
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(rig.calls)]
    assert min(gaps) >= 30 * 0.8


def test_without_a_probe_nothing_is_called() -> None:
    """Law: `none` means never."""
    rig = _Rig(_lists)
    assert rig.run_for(3600, _provider("p", ProbeSetting.NONE)) == []
    assert rig.calls == []


def _busy(*targets: str, **more: object) -> Traffic:
    """Return traffic in which every target is well, was seen long ago, and requests go on."""
    healths = {
        TargetName(name): TargetHealth(
            **{"target": TargetName(name), "standing": Standing.HEALTHY, "seen_at": -100.0, **more}
        )
        for name in targets
    }

    def sight() -> Sight:
        return Sight(snapshot=HealthSnapshot(targets=healths), in_flight={}, asked_at=anyio.current_time())

    return Traffic(sight)


def _canaries(rig: _Rig) -> list[float]:
    return [at for at, _, request in rig.calls if request.method == "POST"]


def test_a_canary_stays_within_its_budget_of_a_day() -> None:
    """Law: what costs is bounded, for each target by count, and for each provider in dollars."""
    rig = _Rig(_says_ok, _busy("p/m", "p/n"))
    rig.run_for(86_000, _provider("p", ProbeSetting.CANARY, every=Seconds(60), max_per_day=5))
    assert len(_canaries(rig)) == 10
    rig = _Rig(_says_ok, _busy("p/m", "p/n"))
    found = rig.run_for(86_000, _provider("p", ProbeSetting.CANARY, canary_usd=0.01, usd_per_day=0.075))
    assert len(_canaries(rig)) == 7
    assert sum(each.cost_usd or 0.0 for each in found) == pytest.approx(0.07)


def test_what_was_spent_before_a_restart_counts() -> None:
    """Law: a daemon that is restarted again and again spends no more than one that is not."""
    before = tuple(Spent(TargetName("p/m"), -3600.0, 0.01) for _ in range(6))
    rig = _Rig(_says_ok, replace(_busy("p/m", "p/n"), spent=before))
    rig.run_for(3600, _provider("p", ProbeSetting.CANARY, canary_usd=0.01, usd_per_day=0.075))
    assert len(_canaries(rig)) == 1


def test_no_canary_is_sent_while_nobody_asks_for_anything() -> None:
    """Law: without traffic nobody profits; only what was never tried is looked at once."""
    quiet = Traffic(lambda: replace(_busy("p/m").sight(), asked_at=anyio.current_time() - 301.0))
    rig = _Rig(_says_ok, quiet)
    rig.run_for(3600, _provider("p", ProbeSetting.CANARY))
    assert _canaries(rig) == []


async def _says_ok(_: Provider, request: UpstreamRequest) -> _Answer:
    if request.method == "GET":
        return _Answer(200, _LISTING)
    return _Answer(200, b'{"choices":[{"message":{"content":"ok"},"finish_reason":"stop"}]}')


def test_nothing_that_costs_is_sent_unless_canary_is_configured() -> None:
    """Law: liveness and catalog only ever list models."""
    for kind in (ProbeSetting.LIVENESS, ProbeSetting.CATALOG):
        rig = _Rig(_lists)
        rig.run_for(600, _provider("p", kind))
        assert {request.method for _, _, request in rig.calls} == {"GET"}


def test_a_provider_that_hangs_is_a_timeout_and_delays_no_other() -> None:
    """Law: each probe has its own deadline, and its own task."""

    async def hangs_at_one(provider: Provider, _: UpstreamRequest) -> _Answer:
        if provider.name == "hung":
            await anyio.sleep_forever()
        return _Answer(200, _LISTING)

    rig = _Rig(hangs_at_one)
    found = rig.run_for(20, _provider("hung", ProbeSetting.CATALOG), _provider("well", ProbeSetting.CATALOG))
    hung = [completed for completed in found if completed.target == "hung/m"]
    well = [completed for completed in found if completed.target == "well/m"]
    assert hung[0].outcome.fault is Fault.TIMEOUT
    assert hung[0].at - hung[0].started_at == pytest.approx(5)
    assert well[0].at < hung[0].at


def test_a_wire_error_becomes_its_fault() -> None:
    """Law: no exception reaches the registry."""

    async def refuses(_: Provider, __: UpstreamRequest) -> _Answer:
        raise Unreachable("connection refused")

    found = _Rig(refuses).run_for(5, _provider("p", ProbeSetting.LIVENESS))
    assert found[0].outcome.fault is Fault.UNREACHABLE
    assert found[0].outcome.reason == "connection refused"


def test_a_probe_under_way_is_shared() -> None:
    """Law: asking twice costs one call, and both get its outcome."""
    replies: list[Reply[Outcome | None]] = []

    async def main() -> None:
        rig = _Rig(_slowly)
        replies.extend([Reply(), Reply()])
        rig.box.put(ProvidersReplaced(providers=(_provider("p", ProbeSetting.NONE),)))
        for reply in replies:
            rig.box.put(_request("p/m", reply))
        with anyio.move_on_after(10):
            await rig.prober.run()
        assert len(rig.calls) == 1
        assert [(await reply.wait()).succeeded for reply in replies] == [True, True]

    run_virtual(main)


async def _slowly(_: Provider, __: UpstreamRequest) -> _Answer:
    await anyio.sleep(1)
    return _Answer(200, _LISTING)


def _request(target: str, reply: Reply[Outcome | None]) -> ProbeRequested:
    return ProbeRequested(target=TargetName(target), kind=ProbeKind.CATALOG, by="a test", reply=reply)


def test_a_target_that_does_not_exist_is_answered_with_nothing() -> None:
    """Law: whoever asks is answered."""

    async def main() -> None:
        rig = _Rig(_lists)
        reply: Reply[Outcome | None] = Reply()
        rig.box.put(_request("no/such", reply))
        with anyio.move_on_after(1):
            await rig.prober.run()
        assert await reply.wait() is None

    run_virtual(main)


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, unique=True), st.integers(0, 999))
def test_no_schedule_probes_faster_than_the_common_rate(names: list[str], seed: int) -> None:
    """Law: however many providers there are, two probes are at least `MIN_GAP_S` apart."""
    schedule = Schedule(random.Random(seed))
    schedule.follow([_provider(name, ProbeSetting.CANARY, every=Seconds(1)) for name in names], 0.0)
    taken = []
    now = 0.0
    while now < 20:
        if schedule.take(now, {}) is not None:
            taken.append(now)
        now = max(now + 0.01, schedule.next_due() or now)
    assert taken
    assert all(later - earlier >= MIN_GAP_S - 1e-9 for earlier, later in pairwise(taken))


def _judged(kind: ProbeKind, status: int, body: bytes, model: str = "m") -> Outcome:
    errand = Errand("p", kind, model)
    finding = Finding(status, "application/json", {"content-type": "application/json"}, body, 0.1)
    return judge(errand, _provider("p", ProbeSetting.CATALOG), model, finding)


@pytest.mark.parametrize(
    ("kind", "status", "body", "fault"),
    [
        (ProbeKind.LIVENESS, 401, b"{}", None),
        (ProbeKind.LIVENESS, 503, b"{}", Fault.OVERLOADED),
        (ProbeKind.CATALOG, 200, _LISTING, None),
        (ProbeKind.CATALOG, 401, b"{}", Fault.AUTH),
        (ProbeKind.CATALOG, 200, b'{"data":[]}', None),
        (ProbeKind.CATALOG, 200, b"not a listing", None),
        (ProbeKind.CATALOG, 200, b'{"data":[{"id":"\xff"}]}', None),
        (ProbeKind.CATALOG, 200, b"[" * 100_000, None),
        (ProbeKind.CATALOG, 500, b'{"error":{"message":"\xff"}}', Fault.SERVER_ERROR),
        (ProbeKind.CATALOG, 200, b'{"data":[{"id":"other"}]}', Fault.MODEL_NOT_FOUND),
        (ProbeKind.CANARY, 200, b'{"choices":[]}', Fault.BAD_REPLY),
        (ProbeKind.CANARY, 200, b'{"choices":[{"message":{"content":"ok"},"finish_reason":"stop"}]}', None),
    ],
)
def test_what_each_probe_makes_of_an_answer(kind: ProbeKind, status: int, body: bytes, fault: Fault | None) -> None:
    """Law: each kind proves what it can prove, and no more."""
    assert _judged(kind, status, body).fault is fault
