"""What a cascade makes of refusals that are faults, of check commands, of clients that leave, and of both dialects."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from daemon.limits.ledger import Ledger
from daemon.limits.policy import LimitPolicy, Limits
from daemon.relay.billing import payers_of
from daemon.relay.calls import ClientLeft
from daemon.relay.checks import Checks
from daemon.routing.cascading import costlier
from daemon.routing.leases import RoutesReplaced
from daemon.routing.policy import StreamRecovery
from probes.cascade import CascadePolicy
from probes.policy import Dialect
from probes.surfaces import Surface
from state.durations import Seconds
from state.faults import Fault
from state.history.rows import AttemptRow, FallbackRow, RequestRow
from state.prices import Price
from state.targets import TargetName
from tests.daemon.test_cascade import CHEAP, DEAR, GOOD, REFUSAL, cascade, stream, whole
from tests.rigs.bodies import CUT, ROLE, SSE, error, word
from tests.rigs.peers import Gate, Script, Send, answer, chunk
from tests.rigs.relay import Recorded, relay
from tests.rigs.streamed import event

_SONNET = {"input_tokens": 1000, "output_tokens": 1}
SAYS_NO = f"#!{sys.executable}\nimport sys\nsys.exit('secret' in sys.stdin.read())\n"


def _run(main: Callable[[], Awaitable[None]]) -> None:
    anyio.run(main, backend_options={"use_uvloop": True})


class _Waited(Recorded):
    """A client that says when it has something."""

    def __init__(self) -> None:
        super().__init__()
        self.first = anyio.Event()

    async def write(self, piece: bytes) -> None:
        """Keep a piece, and say so."""
        await super().write(piece)
        self.first.set()


def _message(stop_reason: str, text: str) -> Script:
    body = {"type": "message", "content": [{"type": "text", "text": text}], "stop_reason": stop_reason}
    return [Send(answer(json.dumps({**body, "usage": _SONNET}).encode(), "content-type: application/json"))]


def _message_stream(stop_reason: str, text: str) -> Script:
    events = [
        event("message_start", message={"content": [], "usage": _SONNET}),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": text}),
        event("message_delta", delta={"stop_reason": stop_reason}, usage={"output_tokens": 9}),
        event("message_stop"),
    ]
    return [Send(SSE), *(Send(chunk(each)) for each in events), Send(b"0\r\n\r\n")]


@pytest.mark.parametrize("manner", ["plain", "streamed"])
@pytest.mark.parametrize("dear", ["answers", "fails"])
def test_a_message_that_its_provider_calls_a_refusal_is_asked_elsewhere(manner: str, dear: str) -> None:
    """`stop_reason: refusal`, whatever the words; where the dear target fails too, the client gets it as it came."""

    async def main() -> None:
        make = _message_stream if manner == "streamed" else _message
        dear_fails = dear == "fails"
        second = error("500 Oh") if dear_fails else make("end_turn", GOOD)
        scripts = (make("refusal", "Let us talk of something else."), second)
        async with relay(*scripts, dialect=Dialect.ANTHROPIC, prices=(CHEAP, DEAR)) as (one, _):
            client, more = Recorded(), {"surface": Surface.MESSAGES, "streamed": manner == "streamed"}
            reply = await one.send(client, workload=cascade(one), **more)
            body = client.body if reply is None else reply.body
            headers = dict(client.headers if reply is None else reply.headers)
            assert (b"something else" in body, GOOD.encode() in body) == (dear_fails, not dear_fails)
            assert headers["fairlead-target"] == ("p0/m" if dear_fails else "p1/m")
            assert headers["fairlead-escalated"] == "1"
            assert one.all_rows(FallbackRow)[0].reason.startswith("escalated: ")
            if manner == "streamed":
                assert one.all_rows(AttemptRow)[0].cost_usd == pytest.approx(1009 * CHEAP / 1e6)
            assert await one.idle()

    _run(main)


def test_a_stream_that_stalls_before_it_is_judged_falls_back_like_any_other() -> None:
    """Nothing of it has reached the client, so its silence is a timeout, and the next target answers."""

    async def main() -> None:
        stalls = [Send(SSE), Send(chunk(ROLE)), Send(chunk(word("Well, "))), Gate(anyio.Event())]
        async with relay(stalls, stream(GOOD), prices=(CHEAP, DEAR)) as (one, _):
            client = Recorded()
            await one.send(client, streamed=True, workload=cascade(one))
            assert b"Well" not in client.body
            assert GOOD.encode() in client.body
            assert one.row(FallbackRow).fault is Fault.TIMEOUT

    _run(main)


def test_a_stream_that_broke_after_its_beginning_is_not_judged_again() -> None:
    """What the client has is continued, and no refusal of whoever continues it is escalated."""

    async def main() -> None:
        scripts = (CUT, stream(REFUSAL), stream(GOOD))
        async with relay(*scripts, prices=(CHEAP, 10.0, DEAR)) as (one, (_, _, dearest)):
            workload = replace(cascade(one, hold_back=5), stream_recovery=StreamRecovery.CONTINUE)
            client = Recorded()
            body = b'{"model":"w","stream":true,"messages":[{"role":"user","content":"a story"}]}'
            await one.send(client, streamed=True, workload=workload, body=body)
            assert b"once upon" in client.body
            assert b"sorry" in client.body
            assert not dearest.heard

    _run(main)


def test_a_kept_stream_is_lost_on_a_client_that_leaves_while_it_is_given() -> None:
    """The request is written down once, as cancelled, and every lease is back."""

    async def main() -> None:
        async with relay(stream(REFUSAL), error("500 Oh"), prices=(CHEAP, DEAR)) as (one, _):
            with pytest.raises(ClientLeft):
                await one.send(Recorded(leaves_after=0), streamed=True, workload=cascade(one))
            assert one.row(RequestRow).outcome == "cancelled"
            assert await one.idle()

    _run(main)


def test_signs_of_life_begin_with_the_escalation_and_name_it() -> None:
    """Nothing goes out while the first target is judged; what a slow second one lets pass is a comment."""

    async def main() -> None:
        go_on = anyio.Event()
        slow = [Gate(go_on), *stream(GOOD)]
        async with relay(stream(REFUSAL), slow, prices=(CHEAP, DEAR)) as (one, _):
            client = _Waited()
            workload = replace(cascade(one), keep_alive=Seconds(0.02))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: one.send(client, streamed=True, workload=workload))
                await client.first.wait()
                go_on.set()
            assert client.headers["fairlead-fallback-from"] == "p0/m"
            assert client.pieces[0].startswith(b":")
            assert GOOD.encode() in client.body
            assert b"sorry" not in client.body

    _run(main)


@pytest.mark.parametrize("manner", ["plain", "streamed"])
def test_a_check_command_reads_the_text_and_says_whether_it_does(tmp_path: Path, manner: str) -> None:
    """Its exit code decides; the history says that it did, without a word of the answer."""

    async def main() -> None:
        program = tmp_path / "check"
        program.write_text(SAYS_NO, encoding="utf-8")
        program.chmod(0o700)
        make = stream if manner == "streamed" else whole
        async with relay(make("the secret is out"), make(GOOD), prices=(CHEAP, DEAR)) as (one, _):
            client = Recorded()
            workload = cascade(one, command=(str(program),), timeout=Seconds(10))
            with capture_logs() as logs:
                reply = await one.send(client, streamed=manner == "streamed", workload=workload)
            assert GOOD.encode() in (client.body if reply is None else reply.body)
            assert one.row(FallbackRow).reason == "escalated: the check command says no"
            assert "secret" not in str(logs)

    _run(main)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("/no/such/program",), "No such file"),
        (("/bin/sh", "-c", "kill -9 $$"), "exit code -9"),
        (("/bin/sh", "-c", "exit 127"), "exit code 127"),
        (("/bin/sh", "-c", "exec sleep 60"), "not done within"),
    ],
)
def test_a_check_that_cannot_be_made_lets_the_answer_pass(command: tuple[str, ...], reason: str) -> None:
    """A fault of the command is not one of the answer; the log says so, and not what was to be checked."""

    async def main() -> None:
        policy = CascadePolicy(command=command, timeout=Seconds(0.3))
        with capture_logs() as logs:
            assert await Checks().lack(policy, "w", "some words") is None
        assert logs[0]["event"] == "check_not_done"
        assert reason in logs[0]["reason"]
        assert "some words" not in str(logs)
        assert await Checks().lack(CascadePolicy(command=("/bin/false",)), "w", " ") is None

    _run(main)


def test_costlier_is_who_asks_more_for_this_request() -> None:
    """Law: by what it has of input and output; an unknown price stands above all that are known."""
    a, b, c, d = (TargetName(f"{name}/m") for name in "abcd")
    prices: dict[TargetName, Any] = {
        a: Price(input=1, output=9),
        b: Price(input=2, output=2),
        c: Price(input=2, output=2),
    }
    assert costlier(a, (b, c, d), prices, (1000, 0.0)) == (b, c, d)
    assert costlier(a, (b, c, d), prices, (1000, 1000.0)) == (d,)
    assert costlier(b, (a, b, c, d), prices, (0, 1.0)) == (a, d)
    assert costlier(d, (a, b, c), prices, (1, 1.0)) == ()
    assert costlier(d, (a, b), {}, (1, 1.0)) == (a, b)


@pytest.mark.parametrize("manner", ["plain", "streamed"])
@pytest.mark.parametrize("more", ["other money", "short money", "no money"])
def test_nobody_dearer_is_asked_at_the_expense_of_whoever_did_not_agree(manner: str, more: str) -> None:
    """Neither another account pays for an escalation, nor a budget of which little is left."""

    async def main() -> None:
        make = stream if manner == "streamed" else whole
        async with relay(make(REFUSAL), make(GOOD), prices=(CHEAP, DEAR)) as (one, (_, dear)):
            workload, client = cascade(one), Recorded()
            if more == "short money":
                soft = LimitPolicy(usd_per_day=1e-9, enforce="soft", on_soft="cheaper")
                one.ledger = Ledger(Limits(by_name={"soft": soft}))
                await one.send(streamed=manner == "streamed", workload=workload, fallback_allowed=False)
            elif more == "no money":
                one.ledger = Ledger(Limits(by_name={"hard": LimitPolicy(usd_per_day=0.05)}))
            else:
                groups = {target: target.partition("/")[0] for target in one.workload.targets}
                places = {target: replace(one.routes.places[target], billing=groups[target]) for target in groups}
                routes = replace(one.routes, places=places)
                one.box.put(RoutesReplaced(routes=routes))
                await one.desk.view()
                one.besides["payers"] = payers_of(routes)
            reply = await one.send(client, streamed=manner == "streamed", workload=workload)
            assert b"sorry" in (client.body if reply is None else reply.body)
            assert not dear.heard
            assert await one.idle()

    _run(main)
