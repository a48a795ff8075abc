"""Cascades: the cheapest target first, its answer judged, and a costlier target asked where it does not do."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from daemon.metrics import Metrics
from daemon.relay.calls import Answer
from daemon.routing.leases import DispatcherView, RouteQuery, RoutesReplaced
from daemon.routing.policy import Strategy, Workload
from probes.cascade import CascadePolicy
from probes.surfaces import Surface
from state.faults import Blame
from state.history.rows import AttemptRow, DecisionRow, FallbackRow, RequestRow
from state.messages import AttemptCompleted
from tests.rigs.bodies import ROLE, SSE, done, error, word
from tests.rigs.peers import Flood, Script, Send, answer, chunk
from tests.rigs.relay import Recorded, Relay, relay

CHEAP, MIDDLE, DEAR = 1.0, 10.0, 100.0
REFUSAL = "I'm sorry, but I can't do that."
GOOD = "Here is the plan that you asked for: begin with the data."
LONG = " Let me explain at length why that is so." * 20
_USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
_WORTH = 1100 / 1e6
"""What an answer costs at a dollar for a million tokens."""


def whole(text: str, **message: Any) -> Script:
    """Return a whole answer, with the tokens that it took."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    body = {"id": "x", "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    return [Send(answer(json.dumps(body).encode(), "content-type: application/json"))]


def stream(*words: str) -> Script:
    """Return a whole stream, with the tokens that it took, in one write for each word."""
    usage = b"data: " + json.dumps({"choices": [], "usage": _USAGE}).encode() + b"\n\n"
    *events, end = [ROLE, *map(word, words), done()]
    end = end.replace(b"data: [DONE]", usage + b"data: [DONE]")
    return [Send(SSE), *(Send(chunk(event)) for event in [*events, end]), Send(b"0\r\n\r\n")]


def cascade(one: Relay, **policy: Any) -> Workload:
    """Return the relay's workload as a cascade."""
    settings: dict[str, Any] = {"strategy": Strategy.CASCADE.value, "cascade": CascadePolicy(**policy)}
    return replace(one.workload, **settings)


def _run(main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend_options={"use_uvloop": True})


async def _ask(one: Relay, manner: str, **policy: Any) -> tuple[Recorded, Answer | None, bytes]:
    """Send one request; return the client, the answer if it was a plain one, and all bytes that the client got."""
    client = Recorded()
    reply = await one.send(client, streamed=manner == "streamed", workload=cascade(one, **policy))
    return client, reply, client.body if reply is None else reply.body


def _headers(client: Recorded, reply: Answer | None) -> dict[str, str]:
    return dict(client.headers if reply is None else reply.headers)


def _exposed(metrics: Metrics, one: Relay) -> bytes:
    nothing: dict[Any, int] = {}
    view = DispatcherView(snapshot=one.dispatcher._known, routes=one.routes, in_flight=nothing, waiting={})
    return metrics.exposition(view, ())


def said(manner: str, *words: str) -> Script:
    """Return an answer in that manner."""
    return stream(*words) if manner == "streamed" else whole("".join(words))


@pytest.mark.parametrize("manner", ["plain", "streamed"])
@pytest.mark.parametrize("refusal", ["I can't do that.", REFUSAL])
def test_a_refusal_goes_to_the_stronger_model(manner: str, refusal: str) -> None:
    """The seeds' own example; nothing of it reaches the client, all of it is told, and it counts against nobody."""

    async def main() -> None:
        scripts = (said(manner, refusal), said(manner, GOOD))
        async with relay(*scripts, prices=(CHEAP, DEAR)) as (one, (cheap, dear)):
            client, reply, body = await _ask(one, manner)
            headers = _headers(client, reply)
            assert GOOD.encode() in body
            assert b"I can't" not in body
            assert b"sorry" not in body
            assert (headers["fairlead-target"], headers["fairlead-fallback-from"]) == ("p1/m", "p0/m")
            assert (headers["fairlead-fallback-reason"], headers["fairlead-escalated"]) == ("escalated: refused", "1")
            assert "fairlead-degraded" not in headers
            assert (len(cheap.heard), len(dear.heard)) == (1, 1)
            assert set(one.faults()) == {None}
            assert await one.idle()

    _run(main)


@pytest.mark.parametrize("manner", ["plain", "streamed"])
def test_an_escalation_is_written_down_with_what_it_cost(manner: str) -> None:
    """The request's cost is that of both answers; the step's is what was thrown away; the choice says why."""

    async def main() -> None:
        scripts = (said(manner, REFUSAL), said(manner, GOOD))
        async with relay(*scripts, prices=(CHEAP, DEAR)) as (one, _):
            await _ask(one, manner)
            row, step = one.row(RequestRow), one.row(FallbackRow)
            assert (row.outcome, row.served_by, row.attempts, row.degraded) == ("ok", "p1/m", 2, None)
            assert row.cost_usd == pytest.approx((CHEAP + DEAR) * _WORTH)
            assert (step.reason, step.fault, step.cost_usd) == ("escalated: refused", None, pytest.approx(_WORTH))
            assert [each.number for each in one.all_rows(DecisionRow)] == [1, 2]
            assert one.all_rows(DecisionRow)[1].reason.startswith("escalated: refused; cheapest")
            told = b'fairlead_escalations_total{from_target="p0/m",to_target="p1/m",workload="w"} 1.0'
            assert told in _exposed(one.metrics, one)

    _run(main)


@pytest.mark.parametrize("manner", ["plain", "streamed"])
def test_an_answer_that_does_is_given_as_it_came(manner: str) -> None:
    """Byte for byte, and nobody else is asked, though it says in its middle what it cannot do."""

    async def main() -> None:
        words = (GOOD, LONG, " I can't do that in one line.", " Sorry!")
        async with relay(said(manner, *words), said(manner, "no"), prices=(CHEAP, DEAR)) as (one, (_, dear)):
            client, reply, body = await _ask(one, manner)
            if manner == "streamed":
                sent = [ROLE, *map(word, words)]
                assert body.startswith(b"".join(sent))
                assert body.endswith(b"data: [DONE]\n\n")
            assert not dear.heard
            assert "fairlead-escalated" not in _headers(client, reply)
            assert one.row(RequestRow).cost_usd == pytest.approx(CHEAP * _WORTH)

    _run(main)


@pytest.mark.parametrize("manner", ["plain", "streamed"])
def test_where_the_dear_target_fails_the_cheap_answer_is_given(manner: str) -> None:
    """An answer that lacks something is better than none; it is nobody's fallback, and its price is known."""

    async def main() -> None:
        async with relay(said(manner, REFUSAL), error("500 Oh"), prices=(CHEAP, DEAR)) as (one, _):
            client, reply, body = await _ask(one, manner)
            headers = _headers(client, reply)
            assert b"I can't do that" in body
            assert (headers["fairlead-target"], headers["fairlead-escalated"]) == ("p0/m", "1")
            assert "fairlead-fallback-from" not in headers
            row = one.row(RequestRow)
            assert (row.outcome, row.served_by, row.status) == ("ok", "p0/m", 200)
            assert row.cost_usd == pytest.approx(CHEAP * _WORTH)
            assert await one.idle()

    _run(main)


@pytest.mark.parametrize("manner", ["plain", "streamed"])
def test_each_target_is_asked_until_one_does(manner: str) -> None:
    """In the order of what they cost, whatever their order is, and past one that fails."""

    async def main() -> None:
        scripts = (said(manner, GOOD), said(manner, REFUSAL), said(manner, "Sorry, I can't help with that."))
        async with relay(*scripts, prices=(DEAR, CHEAP, MIDDLE)) as (one, _):
            client, reply, body = await _ask(one, manner)
            assert GOOD.encode() in body
            assert _headers(client, reply)["fairlead-escalated"] == "2"
            steps = [(row.from_target, row.to_target) for row in one.all_rows(FallbackRow)]
            assert steps == [("p1/m", "p2/m"), ("p2/m", "p0/m")]
            assert one.row(RequestRow).cost_usd == pytest.approx((CHEAP + MIDDLE + DEAR) * _WORTH)
        scripts = (said(manner, REFUSAL), error("503 No"), said(manner, GOOD))
        async with relay(*scripts, prices=(CHEAP, MIDDLE, DEAR)) as (one, _):
            assert GOOD.encode() in (await _ask(one, manner))[2]
            assert len(one.all_rows(FallbackRow)) == 2

    _run(main)


@pytest.mark.parametrize("manner", ["plain", "streamed"])
def test_the_last_answer_is_given_even_where_it_does_not_do(manner: str) -> None:
    """Nobody is left to ask, so it is not even held back."""

    async def main() -> None:
        dear = "Sorry, I cannot help with that either."
        async with relay(said(manner, REFUSAL), said(manner, dear), prices=(CHEAP, DEAR)) as (one, _):
            client, reply, body = await _ask(one, manner)
            assert dear.encode() in body
            assert _headers(client, reply)["fairlead-target"] == "p1/m"

    _run(main)


@pytest.mark.parametrize("manner", ["plain", "streamed"])
@pytest.mark.parametrize("more", [{"fallback_allowed": False}, {"max_attempts": 1}])
def test_nobody_is_asked_beyond_what_the_workload_and_the_client_allow(manner: str, more: dict[str, Any]) -> None:
    """`max_attempts` bounds a cascade, and `fairlead-no-fallback` forbids it: the first answer is given."""

    async def main() -> None:
        async with relay(said(manner, REFUSAL), said(manner, GOOD), prices=(CHEAP, DEAR)) as (one, (_, dear)):
            workload, client = cascade(one), Recorded()
            calls = {key: value for key, value in more.items() if key != "max_attempts"}
            workload = replace(workload, max_attempts=more.get("max_attempts", 3))
            reply = await one.send(client, streamed=manner == "streamed", workload=workload, **calls)
            assert b"I can't do that" in (client.body if reply is None else reply.body)
            assert not dear.heard

    _run(main)


@pytest.mark.parametrize("manner", ["plain", "streamed"])
def test_a_cheaper_target_that_was_down_is_no_escalation(manner: str) -> None:
    """After a fallback to a dear target, whose answer lacks something, nobody cheaper is asked for a better one."""

    async def main() -> None:
        scripts = (said(manner, GOOD), (error("503 No"), said(manner, GOOD)), said(manner, REFUSAL))
        async with relay(*scripts, prices=(MIDDLE, CHEAP, DEAR)) as (one, _):
            only = replace(cascade(one), targets=one.workload.targets[1:])
            client = Recorded()
            reply = await one.send(client, streamed=manner == "streamed", workload=only)
            assert b"I can't do that" in (client.body if reply is None else reply.body)
            assert _headers(client, reply)["fairlead-degraded"] == "fallback"
            assert "fairlead-escalated" not in _headers(client, reply)

    _run(main)


def test_a_stream_that_does_not_do_is_given_up_by_its_beginning() -> None:
    """The call to the provider is closed long before its end, what it cost is estimated, and it counts for nobody."""

    async def main() -> None:
        drawn_out = [
            Send(SSE),
            *(Send(chunk(event)) for event in (ROLE, word(REFUSAL), word(LONG))),
            Flood(chunk(word("and so on")), 1_000_000),
        ]
        async with relay(drawn_out, stream(GOOD), prices=(CHEAP, DEAR)) as (one, (cheap, _)):
            client, _, body = await _ask(one, "streamed", hold_back=200)
            assert GOOD.encode() in body
            assert b"sorry" not in body
            assert client.starts == 1
            await cheap.left.wait()
            first, second = one.all_rows(AttemptRow)
            assert (first.outcome.reason, first.outcome.blame) == ("given up: refused", Blame.OURSELVES)
            assert (first.cost_estimated, second.cost_estimated) == (True, False)
            assert first.cost_usd > 0
            assert one.row(RequestRow).cost_usd == pytest.approx(first.cost_usd + DEAR * _WORTH)
            told = [each for each in one.evidence._waiting if isinstance(each, AttemptCompleted)]
            assert [each.outcome.counts for each in told] == [False, True]

    _run(main)


def test_a_stream_is_given_up_only_once_another_target_is_ready() -> None:
    """Where the dear one is full the cheap answer goes on, whole and in order."""

    async def main() -> None:
        async with relay(stream(REFUSAL, LONG), stream(GOOD), prices=(CHEAP, DEAR)) as (one, (_, dear)):
            workload = cascade(one, hold_back=20)
            busy = replace(workload, targets=workload.targets[1:], strategy=Strategy.PRIORITY.value)
            limited = replace(one.routes, places=_limited(one, "p1/m"))
            one.box.put(RoutesReplaced(routes=limited))
            await one.desk.view()
            async with one.desk.lease(RouteQuery(request_id="x", workload=busy, surface=Surface.CHAT)):
                client = Recorded()
                await one.send(client, streamed=True, workload=workload)
            assert not dear.heard
            assert client.body.startswith(ROLE + word(REFUSAL))
            assert "fairlead-escalated" not in client.headers
            assert one.all_rows(DecisionRow)[-1].chosen is None

    _run(main)


def _limited(one: Relay, name: str) -> dict[Any, Any]:
    return {
        target: replace(place, max_in_flight=1) if target == name else place
        for target, place in one.routes.places.items()
    }
