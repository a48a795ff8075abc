"""Who fails at once looks fast: real sessions, registry and sockets, in front of one target that is dead."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import anyio
import pytest
from msgspec.structs import replace

from daemon.routing.leases import RoutesReplaced
from daemon.routing.policy import Strategy
from probes.policy import Timeouts
from state.durations import Seconds
from state.policy import CooldownPolicy, HealthPolicy
from state.registry import Registry
from state.remembered import Remembered
from state.standing import Standing
from state.targets import TargetName
from tests.rigs.peers import Gate, Peer, Reset, Script, Send, answer
from tests.rigs.relay import Relay, relay

_OK = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
).encode()
_JSON = "content-type: application/json"
WELL: Script = [Send(answer(_OK, _JSON))]
OVERLOADED: Script = [Send(answer(b'{"error":{"message":"no"}}', _JSON, status="503 Service Unavailable"))]
BROKEN: Script = [Send(answer(b'{"error":{"message":"no"}}', _JSON, status="500 Internal Server Error"))]
NOBODY: Script = []
"""Stands for a port where nobody listens."""
FIRST, SECOND = TargetName("p0/m"), TargetName("p1/m")
POLICY = HealthPolicy(cooldown=CooldownPolicy(base=Seconds(60)))
"""Nobody returns within a test, however slow the machine is."""
PATIENT = Timeouts(connect=Seconds(5), first_byte=Seconds(10), idle=Seconds(10), total=Seconds(15))
PROVEN = {SECOND: Remembered(target=SECOND, standing=Standing.HEALTHY)}


@asynccontextmanager
async def judged(
    *scripts: Script, remembered: Mapping[TargetName, Remembered] | None = None
) -> AsyncIterator[tuple[Relay, list[Peer]]]:
    """Give a relay whose targets a registry judges by what happens, with one attempt for each request."""
    async with relay(*scripts, timeouts=PATIENT) as (one, peers):
        one.workload = replace(one.workload, strategy=Strategy.LOWEST_LATENCY, max_attempts=1, max_wait=Seconds(5))
        places = {target: replace(place, max_in_flight=99) for target, place in one.routes.places.items()}
        one.box.put(RoutesReplaced(routes=replace(one.routes, places=places)))
        for number, script in enumerate(scripts):
            if script is NOBODY:
                one.providers[f"p{number}"] = replace(one.providers[f"p{number}"], base_url=_closed_port())
        policies = dict.fromkeys(places, POLICY)
        registry = Registry(one.evidence, one.box.address, one.rows.address, policies, remembered or {})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(registry.run)
            while not (await one.desk.view()).snapshot.revision:
                await anyio.lowlevel.checkpoint()
            yield one, peers
            tasks.cancel_scope.cancel()


def _closed_port() -> str:
    """Return a URL where connections are refused at once."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


async def one_after_another(one: Relay, many: int) -> list[int]:
    """Return the statuses of so many requests, each sent when the one before was answered and heard of."""
    statuses: list[int] = []
    for _ in range(many):
        reply = await one.send()
        assert reply is not None
        statuses.append(reply.status)
        while len(one.evidence):
            await anyio.lowlevel.checkpoint()
        await one.desk.view()
    return statuses


async def all_at_once(one: Relay, many: int) -> list[int]:
    """Return the statuses of so many requests that are sent together."""
    statuses: list[int] = []

    async def send() -> None:
        reply = await one.send()
        assert reply is not None
        statuses.append(reply.status)

    async with anyio.create_task_group() as tasks:
        for _ in range(many):
            tasks.start_soon(send)
    return statuses


def _run(main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend_options={"use_uvloop": True})


DEAD = pytest.mark.parametrize(
    "dead", [NOBODY, OVERLOADED, BROKEN, [Reset()]], ids=["refuses", "overloaded", "broken", "resets"]
)


@DEAD
def test_who_fails_at_once_costs_three_requests_at_most(dead: Script) -> None:
    """One attempt for each of forty requests: nothing hides what the choice costs."""

    async def main() -> None:
        async with judged(dead, WELL) as (one, _):
            statuses = await one_after_another(one, 40)
            assert sum(status != 200 for status in statuses) <= 3
            assert statuses[-30:] == [200] * 30

    _run(main)


@DEAD
def test_with_a_fallback_nobody_notices(dead: Script) -> None:
    """Forty of forty are answered, one after another and all at once."""

    async def main() -> None:
        async with judged(dead, WELL) as (one, _):
            one.workload = replace(one.workload, max_attempts=2)
            assert await one_after_another(one, 20) == [200] * 20
        async with judged(dead, WELL) as (one, _):
            one.workload = replace(one.workload, max_attempts=2)
            assert await all_at_once(one, 20) == [200] * 20

    _run(main)


@DEAD
def test_a_dead_newcomer_beside_a_proven_target_costs_three_of_those_that_come_together(dead: Script) -> None:
    """It is tried by one while the others take the proven one."""

    async def main() -> None:
        async with judged(dead, WELL, remembered=PROVEN) as (one, _):
            assert sum(status != 200 for status in await all_at_once(one, 40)) in {1, 2, 3}

    _run(main)


def test_a_newcomer_is_not_flooded() -> None:
    """While its first request is under way, thirty-nine that come together go to the proven target."""

    async def main() -> None:
        door = anyio.Event()
        async with judged([Gate(door), *WELL], WELL, remembered=PROVEN) as (one, (newcomer, proven)):
            statuses: list[int] = []
            async with anyio.create_task_group() as tasks:

                async def send() -> None:
                    reply = await one.send()
                    assert reply is not None
                    statuses.append(reply.status)
                    if len(statuses) == 39:
                        assert (len(newcomer.heard), len(proven.heard)) == (1, 39)
                        door.set()

                for _ in range(40):
                    tasks.start_soon(send)
            assert statuses == [200] * 40

    _run(main)


def test_a_newcomer_is_not_ignored() -> None:
    """The first of forty requests, one after another, goes there: then it is known, and chosen for what it is."""

    async def main() -> None:
        async with judged(WELL, WELL, remembered=PROVEN) as (one, (newcomer, proven)):
            assert await one_after_another(one, 1) == [200]
            assert (len(newcomer.heard), len(proven.heard)) == (1, 0)
            assert await one_after_another(one, 39) == [200] * 39
            health = (await one.desk.view()).snapshot.targets[FIRST]
            assert (health.standing, health.samples) == (Standing.HEALTHY, len(newcomer.heard))

    _run(main)
