"""The prober and status pages: when they are read, what is sent, and what a rude page can do, which is nothing."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise

import anyio
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from probes.calls import Unreachable, UpstreamRequest
from probes.canaries import Sight
from probes.pages import PAGE_EVERY_S, PageReader
from probes.policy import Dialect, ProbePolicy, ProbeSetting, Provider, Secret
from probes.prober import Prober, ProberMessage, ProvidersReplaced, Traffic
from probes.status_page import MOST_BYTES
from state.mailbox import Mailbox
from state.messages import PageRead, RegistryMessage
from state.standing import HealthSnapshot
from tests.rigs.loops import EVERY_LOOP, on_loop
from tests.rigs.peers import Close, Dribble, Flood, Gate, Script, Send, answer, chunked, head, peer
from tests.rigs.virtual_time import START, run_virtual
from tests.rigs.wires import opened

_DOWN = b'{"status":{"indicator":"major","description":"Outage"}}'


def _provider(
    name: str = "p", page: str = "https://status.lab.example/api/v2/summary.json?a=b", **more: str
) -> Provider:
    return Provider(
        name=name,
        dialect=Dialect.OPENAI,
        base_url="http://127.0.0.1:9/v1",
        api_key=Secret("sk-secret"),
        models=("m",),
        probe=ProbePolicy(kind=ProbeSetting.NONE),
        status_page=page,
        **more,
    )


class _Answer:
    """An answer whose body is already there."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {}
        self.connect_s = 0.0
        self._pieces = [body, b""]

    async def read(self) -> bytes:
        return self._pieces.pop(0)

    async def aclose(self) -> None:
        return None


def _traffic(asked_at: Callable[[], float]) -> Traffic:
    return Traffic(lambda: Sight(snapshot=HealthSnapshot(), in_flight={}, asked_at=asked_at()))


class _Rig:
    """A prober whose calls are answered by a function of the test's."""

    def __init__(self, open_call: Callable[[], Awaitable[object]], asked_at: Callable[[], float]) -> None:
        self.box: Mailbox[ProberMessage] = Mailbox()
        self.said: Mailbox[RegistryMessage] = Mailbox()
        self.calls: list[tuple[float, Provider, UpstreamRequest]] = []

        async def counted(provider: Provider, request: UpstreamRequest) -> object:
            self.calls.append((anyio.current_time() - START, provider, request))
            return await open_call()

        self.prober = Prober(self.box, self.said.address, counted, random.Random(3), _traffic(asked_at))

    def run_for(self, seconds: float, *scenes: tuple[Provider, ...]) -> list[RegistryMessage]:
        """Let the prober work for `seconds` with each of these configurations and return what it said."""

        async def main() -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.prober.run)
                for providers in scenes:
                    self.box.put(ProvidersReplaced(providers=providers))
                    await anyio.sleep(seconds)
                tasks.cancel_scope.cancel()

        run_virtual(main)
        return self.said.take_all()


async def _down() -> _Answer:
    return _Answer(200, _DOWN)


def _now() -> float:
    return anyio.current_time()


def _never() -> float:
    return -math.inf


def test_a_page_is_read_about_once_a_minute_while_requests_are_sent() -> None:
    """Law: a minute, a fifth more or less; each reading is told to the registry."""
    rig = _Rig(_down, _now)
    said = rig.run_for(610, (_provider(),))
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(rig.calls)]
    assert 8 <= len(gaps) <= 13
    assert PAGE_EVERY_S * 0.8 <= min(gaps) < max(gaps) <= PAGE_EVERY_S * 1.2
    assert len(said) == len(rig.calls)
    assert isinstance(said[0], PageRead)
    assert (said[0].provider, said[0].level, said[0].text) == ("p", 0.2, "Outage")


def test_while_nobody_asks_for_anything_a_page_is_read_once() -> None:
    """Law: at the start, and not again until somebody could profit; then within ten seconds."""
    quiet = _Rig(_down, _never)
    quiet.run_for(3600, (_provider(),))
    assert len(quiet.calls) == 1
    woken = _Rig(_down, lambda: START + 2000 if _now() >= START + 2000 else -math.inf)
    woken.run_for(3600, (_provider(),))
    times = [at for at, _, _ in woken.calls]
    assert times[0] <= 1.0
    assert 2000 <= times[1] <= 2010
    assert times[-1] <= 2300


def test_a_page_gets_no_key() -> None:
    """Law: what is sent is one GET of the page, with nothing of the provider's in it."""
    rig = _Rig(_down, _now)
    rig.run_for(300, (_provider(),))
    _, place, request = rig.calls[0]
    assert (place.base_url, request.method, request.path) == (
        "https://status.lab.example",
        "GET",
        "/api/v2/summary.json?a=b",
    )
    assert not place.api_key
    assert request.headers == (("accept", "application/json"),)


def test_without_a_status_page_nothing_is_read() -> None:
    """Law: only where it is configured."""
    rig = _Rig(_down, _now)
    assert rig.run_for(3600, (_provider(page=""),)) == []
    assert rig.calls == []


def test_a_page_that_cannot_be_read_says_nothing_and_is_tried_again() -> None:
    """Law: a page that is down is no news of its provider; it is complained of once."""

    async def refused() -> _Answer:
        raise Unreachable("connection refused")

    async def hung() -> _Answer:
        await anyio.sleep_forever()
        raise AssertionError

    for trouble in (refused, hung):
        rig = _Rig(trouble, _now)
        with capture_logs() as logged:
            assert rig.run_for(300, (_provider(),)) == []
        assert len(rig.calls) >= 4
        assert [each["event"] for each in logged] == ["status_page_unread"]


def test_a_reload_keeps_what_stays_and_takes_back_what_went() -> None:
    """Law: a page that stays is read when it was due; what one said that is read no more is taken back."""
    rig = _Rig(_down, _now)
    kept, changed = _provider("kept"), _provider("changed")
    after = replace(changed, status_component="api")
    said = rig.run_for(10, (kept, changed), (replace(kept, max_in_flight=2), after), (kept,))
    assert [place.name for _, place, _ in rig.calls].count("kept/status page") == 1
    taken_back = [each.provider for each in said if isinstance(each, PageRead) and each.at == -math.inf]
    assert taken_back == ["changed", "changed"]


def test_what_a_page_said_that_is_read_no_more_is_not_told() -> None:
    """Law: an answer that comes after the reload that dropped its page is dropped too."""

    async def slow() -> _Answer:
        await anyio.sleep(4)
        return _Answer(200, _DOWN)

    said = _Rig(slow, _now).run_for(3, (_provider(),), (_provider(page=""),), ())
    assert [each.at for each in said if isinstance(each, PageRead)] == [-math.inf]


_ELSEWHERE = head("location: /other", "content-length: 0", status="302 Found")


@pytest.mark.parametrize(
    ("script", "level"),
    [
        ([Send(answer(_DOWN))], 0.2),
        ([Send(chunked(_DOWN[:20], _DOWN[20:]))], 0.2),
        ([Send(head()), Send(_DOWN), Close()], 0.2),
        ([Dribble(answer(_DOWN))], 0.2),
        ([Send(_ELSEWHERE)], None),
        ([Send(answer(_DOWN, status="404 Not Found"))], None),
        ([Send(answer(_DOWN, status="503 Service Unavailable"))], None),
        ([Send(answer(b"<html>"))], None),
        ([Send(b"\x00\x01 garbage\r\n\r\n"), Close()], None),
        ([Send(head("content-length: 999")), Send(_DOWN), Close()], None),
        ([Close()], None),
    ],
)
@EVERY_LOOP
def test_what_a_page_on_a_real_socket_can_do(script: Script, level: float | None, loop: str) -> None:
    """Law: only a whole 200 says something, and nothing is asked twice, neither there nor elsewhere."""

    async def main() -> None:
        async with peer(script) as page, opened() as wires:
            report = await PageReader(wires.open).read(_provider(page=f"{page.base_url}/api/v2/summary.json"))
            assert (None if report is None else report.level) == level
            assert [heard.path for heard in page.heard] == ["/api/v2/summary.json"]
            assert not {"authorization", "x-api-key"} & page.heard[0].headers.keys()
            assert "sk-secret" not in str(page.heard)

    on_loop(loop, main)


@EVERY_LOOP
def test_a_page_without_end_is_left(loop: str) -> None:
    """Law: no more than the bound and what is under way is ever taken."""

    async def main() -> None:
        flood = Flood(b"x" * 65536, 1000)
        async with peer([Send(head("content-type: application/json")), flood]) as page, opened() as wires:
            assert await PageReader(wires.open).read(_provider(page=f"{page.base_url}/s")) is None
            await page.left.wait()
        assert sum(flood.sent) < 32 * MOST_BYTES

    on_loop(loop, main)


@EVERY_LOOP
def test_a_page_that_hangs_is_left_after_its_timeout(loop: str) -> None:
    """Law: whether the head or the rest of the body is missing."""

    async def main() -> None:
        for begun in (b"", head("content-length: 99") + b"{"):
            async with peer([Send(begun), Gate(anyio.Event())]) as page, opened() as wires:
                assert await PageReader(wires.open, 0.2).read(_provider(page=f"{page.base_url}/s")) is None

    on_loop(loop, main)
