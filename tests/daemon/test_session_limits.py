"""Limits as one request meets them: refused in its dialect's words, money set aside before and settled after."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from msgspec.structs import replace

from daemon.limits.ledger import Moment
from daemon.limits.policy import LimitPolicy, Limits
from daemon.limits.till import Asked
from daemon.relay.calls import ClientLeft
from daemon.routing.policy import Strategy, StreamRecovery
from probes.policy import Dialect
from probes.surfaces import Surface
from state.history.charges import Charged, ReservationRow
from state.history.rows import AttemptRow, FallbackRow, FlushRequested, RequestRow
from state.prices import Price
from state.targets import TargetName
from tests.rigs.bodies import CUT, ROLE, SSE, STREAM, WELL, error, said, word
from tests.rigs.peers import Gate, Send, answer, chunk
from tests.rigs.relay import Recorded, Relay, relay

_ANN = Charged("w", "ml", "ann")
_P0, _P1 = TargetName("p0/m"), TargetName("p1/m")
_PRICE = Price(input=1.0, output=1000.0)
_USED = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
_COST = (100 * 1.0 + 10 * 1000.0) / 1e6


def _counted() -> list[object]:
    message = {"role": "assistant", "content": "hi"}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": _USED}
    return [Send(answer(json.dumps(body).encode(), "content-type: application/json"))]


def _run(main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend_options={"use_uvloop": True})


def _limited(one: Relay, **limits: LimitPolicy) -> None:
    one.prices = {_P0: _PRICE, _P1: _PRICE}
    one.ledger.replace(Limits(by_name=limits))


def _spent(one: Relay) -> tuple[float, float]:
    (row,) = one.ledger.standing(Moment(0.0, time.time()))
    return row.spent_usd, row.reserved_usd


@pytest.mark.parametrize(
    ("dialect", "surface", "shape"),
    [
        (Dialect.OPENAI, Surface.CHAT, {"type": "rate_limit_error", "code": "rate_limit_exceeded"}),
        (Dialect.ANTHROPIC, Surface.MESSAGES, {"type": "rate_limit_error"}),
    ],
)
def test_a_limit_is_a_429_of_the_dialect_that_names_it_and_says_when_it_frees(
    dialect: Dialect, surface: Surface, shape: dict[str, str]
) -> None:
    """Law: an SDK raises its own RateLimitError, and may sleep through the wait where it is short."""

    async def main() -> None:
        async with relay(WELL, dialect=dialect) as (one, (only,)):
            _limited(one, calm=LimitPolicy(per="user", requests_per_minute=0))
            reply = await one.send(surface=surface, charged=_ANN)
            assert reply is not None
            assert reply.status == 429
            told = json.loads(reply.body)["error"]
            assert {key: told[key] for key in shape} == shape
            assert told["message"].startswith("limits.calm for user ann: requests_per_minute = 0")
            assert not only.heard
            assert one.row(RequestRow).outcome == "refused"

    _run(main)


def test_an_answer_is_paid_by_the_providers_count() -> None:
    """Law: what was set aside is replaced by what it cost; the header, the rows and the ledger say the same."""

    async def main() -> None:
        async with relay(_counted()) as (one, _):
            _limited(one, day=LimitPolicy(usd_per_day=10.0))
            reply = await one.send(charged=_ANN, max_tokens=50)
            assert reply is not None
            assert float(reply.headers["fairlead-cost-usd"]) == pytest.approx(_COST)
            assert one.row(AttemptRow).cost_usd == one.row(RequestRow).cost_usd == pytest.approx(_COST)
            assert _spent(one) == (pytest.approx(_COST), 0.0)
            assert (one.row(RequestRow).team, one.row(RequestRow).user) == ("ml", "ann")

    _run(main)


def test_an_answer_that_nobody_counted_is_paid_by_its_length() -> None:
    """Law: a provider that tells no usage does not make answers free; the row says that it is an estimate."""

    async def main() -> None:
        async with relay(said("once upon a time there was a token")) as (one, _):
            _limited(one, day=LimitPolicy(usd_per_day=10.0))
            assert await one.send(charged=_ANN, max_tokens=50) is not None
            row = one.row(AttemptRow)
            assert row.cost_estimated
            assert row.cost_usd == pytest.approx(34 / 4 * _PRICE.output / 1e6, rel=0.01)
            assert _spent(one) == (pytest.approx(row.cost_usd), 0.0)

    _run(main)


def test_several_answers_at_once_are_all_set_aside_for() -> None:
    """Law: each of the answers that a request asks for may be as long as its limit, and all are paid."""

    async def main() -> None:
        async with relay(WELL) as (one, (only,)):
            _limited(one, day=LimitPolicy(usd_per_day=0.1))
            reply = await one.send(charged=_ANN, max_tokens=50, answers=3)
            assert reply is not None
            assert (reply.status, bool(only.heard)) == (429, False)
            assert "may cost $0.15" in json.loads(reply.body)["error"]["message"]

    _run(main)


def test_money_is_set_aside_and_written_down_before_the_provider_is_asked() -> None:
    """Law: while an attempt is under way its ceiling is reserved, in the history too; and a failure gives it back."""

    async def main() -> None:
        release = anyio.Event()
        async with relay([Gate(release), *error("500 Oh")], error("500 Oh")) as (one, (first, _)):
            _limited(one, day=LimitPolicy(usd_per_day=10.0))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(one.send, charged=_ANN, max_tokens=50))
                while not first.heard:
                    await anyio.lowlevel.checkpoint()
                spent, reserved = _spent(one)
                assert (spent, reserved > 0.05) == (0.0, True)
                (row,) = one.all_rows(ReservationRow)
                assert (row.target, row.number, row.usd) == (_P0, 1, pytest.approx(reserved))
                assert one.all_rows(FlushRequested)
                release.set()
            assert _spent(one) == (0.0, 0.0)
            assert [row.number for row in one.all_rows(ReservationRow)] == [1, 2, 3]

    _run(main)


def test_a_client_that_leaves_in_mid_stream_pays_for_what_it_had() -> None:
    """Law: the input and what was said so far are booked, as an estimate that says so."""

    async def main() -> None:
        stream = [Send(SSE + b"".join(chunk(event) for event in (ROLE, word("once upon a time"), word("there"))))]
        async with relay([*stream, Gate(anyio.Event())]) as (one, _):
            _limited(one, day=LimitPolicy(usd_per_day=10.0))
            with pytest.raises(ClientLeft):
                await one.send(Recorded(leaves_after=1), streamed=True, charged=_ANN)
            row = one.row(AttemptRow)
            assert row.cost_estimated
            assert 0.0 < (row.cost_usd or 0.0) < 0.1
            assert _spent(one) == (pytest.approx(row.cost_usd), 0.0)

    _run(main)


def test_what_a_budget_cannot_pay_is_refused_before_the_provider_is_asked() -> None:
    """Law: the message names the limit, what it leaves, and when it frees; an SDK does not try again."""

    async def main() -> None:
        async with relay(WELL) as (one, (only,)):
            _limited(one, day=LimitPolicy(per="team", usd_per_day=0.01))
            reply = await one.send(charged=_ANN, max_tokens=50)
            assert reply is not None
            assert (reply.status, reply.headers["x-should-retry"]) == (429, "false")
            assert "retry-after" not in reply.headers
            told = json.loads(reply.body)["error"]
            assert (told["code"], "limits.day for team ml" in told["message"]) == ("budget_exceeded", True)
            assert not only.heard

    _run(main)


def test_a_soft_limit_sends_to_the_cheapest_and_says_so() -> None:
    """Law: `cheaper` changes the target, whatever the strategy; the header tells why."""

    async def main() -> None:
        async with relay(said("dear"), said("cheap")) as (one, _):
            _limited(one, day=LimitPolicy(usd_per_day=0.0, enforce="soft", on_soft="cheaper"))
            cheap = Price(input=0.1, output=0.1)
            one.prices[_P1] = cheap
            places = {
                **one.routes.places,
                _P0: replace(one.routes.places[_P0], price=_PRICE),
                _P1: replace(one.routes.places[_P1], price=cheap),
            }
            one.dispatcher._routes = replace(one.routes, places=places)
            reply = await one.send(charged=_ANN, workload=replace(one.workload, strategy=Strategy.ROUND_ROBIN))
            assert reply is not None
            assert reply.headers["fairlead-target"] == _P1
            assert reply.headers["fairlead-budget"].startswith("limits.day: usd_per_day = 0.00 is used up")

    _run(main)


def test_whoever_was_let_in_leaves_however_it_ends() -> None:
    """Law: after failures, refusals and clients that left, nobody is under way and nothing is set aside."""

    async def main() -> None:
        scripts = (error("500 Oh"), WELL, error("401 No"), [Gate(anyio.Event())])
        async with relay(scripts) as (one, _):
            _limited(one, few=LimitPolicy(concurrent=1, usd_per_day=100.0))
            for _ in range(3):
                await one.send(charged=_ANN)
            with anyio.move_on_after(0.2):
                await one.send(charged=_ANN)
            assert _spent(one)[1] == 0.0
            (account,) = one.ledger._accounts.values()
            assert account.running == 0

    _run(main)


def test_a_fallback_that_nobody_can_pay_is_told_as_a_limit_and_not_as_a_fallback() -> None:
    """Law: the history and the headers know of steps that were made, not of those that were refused."""

    async def main() -> None:
        async with relay(error("500 Oh"), WELL) as (one, (_, second)):
            _limited(one, day=LimitPolicy(usd_per_day=10.0))
            del one.prices[_P1]
            reply = await one.send(charged=_ANN)
            assert reply is not None
            assert reply.status == 429
            assert "p1/m, whose price is unknown" in json.loads(reply.body)["error"]["message"]
            assert "fairlead-fallback-from" not in reply.headers
            assert not second.heard
            assert one.all_rows(FallbackRow) == []
            assert _spent(one) == (0.0, 0.0)

    _run(main)


def test_a_stream_that_no_budget_continues_is_cut() -> None:
    """Law: a client that has had the beginning of an answer is told that it broke, in its stream."""

    async def main() -> None:
        async with relay(CUT, STREAM) as (one, (_, second)):
            _limited(one, day=LimitPolicy(usd_per_day=10.0))
            del one.prices[_P1]
            client, workload = Recorded(), replace(one.workload, stream_recovery=StreamRecovery.CONTINUE)
            body = b'{"model":"w","stream":true,"messages":[{"role":"user","content":"tell"}]}'
            await one.send(client, charged=_ANN, streamed=True, workload=workload, body=body)
            assert b"once upon" in client.body
            assert b"error" in client.body
            assert not second.heard
            assert one.row(RequestRow).outcome == "cut"

    _run(main)


@pytest.mark.parametrize(
    ("more", "tokens"),
    [
        ({"max_tokens": 50}, 50),
        ({"max_tokens": 50, "answers": 8}, 400),
        ({}, 4096),
        ({"answers": 2}, 8192),
        ({"surface": Surface.EMBEDDINGS, "max_tokens": 50}, 0),
    ],
)
def test_what_is_set_aside_is_what_all_answers_may_have_at_most(more: dict[str, Any], tokens: int) -> None:
    """Law: every one of `n` answers is paid for, one of unstated length is assumed, embeddings have none."""
    asked = Asked(
        request_id="r",
        charged=_ANN,
        tokens=300,
        max_tokens=more.get("max_tokens"),
        answers=more.get("answers", 1),
        work=more.get("surface", Surface.CHAT).work,
    )
    assert asked.ceiling(_PRICE, 4096) == pytest.approx((400 * 1.0 + tokens * 1000.0) / 1e6)
    assert asked.ceiling(None, 4096) is None


def test_counting_tokens_is_free_also_where_no_price_is_known() -> None:
    """Law: what providers do for nothing is refused to nobody for want of a price."""
    asked = Asked(request_id="r", charged=_ANN, tokens=300, max_tokens=None, work=Surface.COUNT_TOKENS.work)
    assert asked.ceiling(None, 4096) == 0.0
