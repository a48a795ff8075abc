"""The examples that the project was asked for with, end to end: queries land on their tiers' targets, and fall back."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import anyio
import pytest
from msgspec.structs import replace

from daemon.routing.complexity.features import asked_of
from daemon.routing.complexity.heuristic import classify
from daemon.routing.complexity.tiers import Tier
from daemon.routing.policy import Strategy
from daemon.routing.sorting.policy import Tiers
from probes.surfaces import Surface
from state.history.rows import FallbackRow
from state.targets import TargetName
from tests.rigs.bodies import WELL, error
from tests.rigs.relay import relay

MINI, GOOD, BEST = (TargetName(f"p{number}/m") for number in range(3))
"""gpt-4o-mini, gpt-4o and claude-sonnet, in the examples' words."""
TIERS = Tiers(simple=(MINI,), moderate=(GOOD,), complex=(BEST,))
FIVE = (
    ("What is Python?", MINI),
    ("Compare microservices vs monolith trade-offs", BEST),
    ("Translate 'hello' to Spanish", MINI),
    ("Debug this recursive function and explain why it stack overflows", BEST),
    ("List the top 5 Python web frameworks", MINI),
)
THREE = (
    ("Is this email spam? 'Congratulations you won!'", MINI),
    ("Summarize this 500-word article about renewable energy", GOOD),
    (
        "Analyze the trade-offs between microservices and monolith architectures for a 10-person startup",
        BEST,
    ),
)
TWO = (("What is 2+2?", MINI), ("Design a microservices architecture", BEST))


def _run(main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend_options={"use_uvloop": True})


def _asking(text: str) -> bytes:
    return json.dumps({"model": "w", "messages": [{"role": "user", "content": text}]}).encode()


@pytest.mark.parametrize("queries", [FIVE, THREE, TWO])
def test_each_query_lands_on_the_target_of_its_tier(queries: tuple[tuple[str, TargetName], ...]) -> None:
    """Not every query needs the most expensive model."""

    async def main() -> None:
        async with relay(WELL, WELL, WELL) as (one, _):
            one.workload = replace(one.workload, strategy=Strategy.COMPLEXITY.value, tiers=TIERS)
            landed = [(text, (await one.send(body=_asking(text))).headers["fairlead-target"]) for text, _ in queries]
            assert landed == list(queries)

    _run(main)


def test_a_recursive_function_is_easier_than_the_architecture_of_a_bank() -> None:
    """The first is not complex, the second is."""
    easy, hard = (
        classify(asked_of(Surface.CHAT, _asking(text)))
        for text in ("Write a recursive Fibonacci function", "Design a microservices architecture for a bank")
    )
    assert easy.tier is not Tier.COMPLEX
    assert hard.tier is Tier.COMPLEX


def test_ten_requests_over_a_round_robin_of_three_are_even() -> None:
    """Four, three and three."""

    async def main() -> None:
        async with relay(WELL, WELL, WELL) as (one, peers):
            one.workload = replace(one.workload, strategy=Strategy.ROUND_ROBIN.value)
            for _ in range(10):
                await one.send()
            assert [len(peer.heard) for peer in peers] == [4, 3, 3]

    _run(main)


def test_a_mocked_rate_limit_on_the_primary_triggers_the_fallback() -> None:
    """And the answer says from where it came, and why."""

    async def main() -> None:
        async with relay(error("429 Too Many Requests"), WELL) as (one, _):
            reply = await one.send()
            assert reply.headers["fairlead-target"] == GOOD
            assert reply.headers["fairlead-fallback-from"] == MINI
            assert reply.headers["fairlead-fallback-reason"].startswith("rate_limited")
            assert one.row(FallbackRow).to_target == GOOD

    _run(main)
