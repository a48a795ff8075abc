"""Laws of one request's life, whatever the upstreams do: each example is a workload in front of real sockets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import anyio.lowlevel
import structlog.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.routing.policy import DegradedPolicy, StreamRecovery
from probes.policy import Timeouts
from state.durations import Seconds
from state.faults import DEFAULT_FALLBACK_ON, FAULT_RULES, FallbackUse, Fault
from state.history.rows import AttemptRow, FallbackRow, RequestRow
from tests.rigs.bodies import CUT, ROLE, SSE, STREAM, WELL, error, streamed, word
from tests.rigs.hedging import figures
from tests.rigs.peers import Close, Gate, Peer, Reset, Script, Send, answer, chunk, head
from tests.rigs.relay import Recorded, Relay, relay

_BODY = b'{"model":"w","messages":[{"role":"user","content":"tell"}]}'
_RACING = Timeouts(connect=Seconds(0.3), first_byte=Seconds(0.2), idle=Seconds(0.2), total=Seconds(2))
_HASTY = Timeouts(connect=Seconds(0.2), first_byte=Seconds(0.06), idle=Seconds(0.06), total=Seconds(2))
_FILTERED = b'{"error":{"message":"no","type":"invalid_request_error","code":"content_policy_violation"}}'
_INSIDE = b'data: {"error":{"message":"busy","type":"overloaded_error","code":null}}\n\n'
BEHAVIOURS: dict[str, Script] = {
    "well": WELL,
    "stream": STREAM,
    "400": error("400 No"),
    "401": error("401 No"),
    "403": error("403 No"),
    "404": error("404 No"),
    "429": error("429 No"),
    "429 hinted": error("429 No", "retry-after: 1"),
    "500": error("500 Oh"),
    "503": error("503 Oh"),
    "filtered": error("400 No", body=_FILTERED),
    "html": [Send(answer(b"<html></html>", "content-type: text/html"))],
    "empty": [Send(answer(b"", "content-type: application/json"))],
    "error in 200": [Send(answer(b'{"error":{"message":"x","code":500}}', "content-type: application/json"))],
    "garbage": [Send(b"\x00\x01\x02 nonsense\r\n\r\n"), Close()],
    "reset": [Reset()],
    "cut before content": [Send(SSE + chunk(ROLE)), Close()],
    "cut after content": CUT,
    "reset after content": [Send(SSE + chunk(ROLE) + chunk(word("once"))), Reset()],
    "clean end without finish": [Send(SSE + chunk(ROLE) + chunk(word("once")) + b"0\r\n\r\n")],
    "error event before content": [Send(SSE + chunk(ROLE) + chunk(_INSIDE) + b"0\r\n\r\n")],
    "error event after content": [Send(SSE + chunk(ROLE) + chunk(word("once")) + chunk(_INSIDE) + b"0\r\n\r\n")],
    "short": [Send(head("content-type: application/json", "content-length: 900") + b'{"a"'), Close()],
    "silent": [],
    "silent after content": [Send(SSE + chunk(ROLE) + chunk(word("once")))],
    "half an event": [Send(streamed("whole", "words")[:-60])],
}
DEGRADED = [
    DegradedPolicy(),
    DegradedPolicy(mode="static", message="m"),
    DegradedPolicy(mode="static", message="m", status=200),
]
_NEVER = {fault for fault, rule in FAULT_RULES.items() if rule.fallback is FallbackUse.NEVER}
_CONTENT = (b"once", b"well ", b"whole")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    names=st.lists(st.sampled_from(sorted(BEHAVIOURS)), min_size=1, max_size=3),
    manner=st.sampled_from(["plain", "streamed"]),
    fallback_on=st.one_of(st.just(DEFAULT_FALLBACK_ON), st.lists(st.sampled_from(Fault), unique=True).map(tuple)),
    recovery=st.sampled_from(StreamRecovery),
    max_attempts=st.integers(1, 4),
    degraded=st.sampled_from(DEGRADED),
)
def test_no_sequence_of_upstream_behaviours_breaks_a_promise(
    names: list[str],
    manner: str,
    fallback_on: tuple[Fault, ...],
    recovery: StreamRecovery,
    **rules: object,
) -> None:
    """No lease leaks, no fallback on what forbids it, none without its header, log line and row, no false end."""

    async def main() -> None:
        scripts = [BEHAVIOURS[name] for name in names]
        async with relay(*scripts, timeouts=_HASTY) as (one, peers):
            workload = replace(one.workload, fallback_on=fallback_on, stream_recovery=recovery, **rules)
            client = Recorded()
            with structlog.testing.capture_logs() as lines:
                reply = await one.send(client, streamed=manner == "streamed", workload=workload, body=_BODY)
            headers = client.headers if reply is None else reply.headers
            assert await one.idle()
            assert sum(len(each.heard) for each in peers) <= 2 * len(one.all_rows(AttemptRow))  # stale: asked anew
            assert len(one.all_rows(AttemptRow)) <= rules["max_attempts"]
            assert [line["event"] for line in lines].count("fallback") == len(one.all_rows(FallbackRow))
            _judge(one, client, headers, fallback_on)

    anyio.run(main, backend_options={"use_uvloop": True})


def _judge(one: Relay, client: Recorded, headers: Mapping[str, str], fallback_on: tuple[Fault, ...]) -> None:
    """Assert what holds of every request: its steps are allowed and told, and its end is what it seems."""
    ending = one.row(RequestRow)
    steps = one.all_rows(FallbackRow)
    assert any(step.fault is not Fault.CUT for step in steps[:1]) == ("fairlead-fallback-from" in headers)
    for step in (step for step in steps if step.fault is not Fault.CUT):
        assert step.fault in fallback_on
        assert step.fault not in _NEVER
    if ending.outcome == "cut":
        assert b"[DONE]" not in client.body
        assert b'"error"' in client.body
    if any(word in client.body for word in _CONTENT) and b"[DONE]" in client.body:
        assert ending.outcome == "ok"
    if ending.degraded == "static":
        assert headers["fairlead-degraded"] == "static"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    names=st.lists(st.sampled_from(sorted(BEHAVIOURS)), min_size=2, max_size=3),
    late=st.sampled_from([None, 0, 1, "both"]),
    streamed=st.booleans(),
    recovery=st.sampled_from(StreamRecovery),
    max_attempts=st.integers(2, 4),
    entitlement=st.booleans(),
)
def test_no_race_breaks_a_promise(names: list[str], late: object, **rules: Any) -> None:
    """Whoever answers, fails or stays silent, and when: no lease leaks, and the client gets one answer of one."""

    async def main() -> None:
        both_asked = anyio.Event()
        scripts = [BEHAVIOURS[name] for name in names]
        gated = [[Gate(both_asked), *script] if late in {"both", at} else script for at, script in enumerate(scripts)]
        async with relay(*gated, timeouts=_RACING) as (one, peers), anyio.create_task_group() as tasks:
            tasks.start_soon(_open, both_asked, peers)
            one.dispatcher.figures = {target: figures() for target in one.workload.targets}
            workload = replace(
                one.workload,
                hedge=True,
                stream_recovery=rules["recovery"],
                max_attempts=rules["max_attempts"],
                require_entitlement=rules["entitlement"],
            )
            client = Recorded()
            reply = await one.send(client, streamed=rules["streamed"], workload=workload, body=_BODY)
            headers = client.headers if reply is None else reply.headers
            attempts = one.all_rows(AttemptRow)
            assert await one.idle()
            assert len(attempts) <= rules["max_attempts"]
            assert sorted(row.number for row in attempts) == list(range(1, len(attempts) + 1))
            assert len([row for row in attempts if row.hedge]) == ("fairlead-hedged" in headers)
            assert client.starts == (reply is None)
            if rules["recovery"] is StreamRecovery.NONE:
                assert client.body.count(ROLE) <= 1
            # Two whole answers may arrive in the same turn of the loop: both came, and one is given.
            assert len([row for row in attempts if row.outcome.fault is None]) <= (1 if rules["streamed"] else 2)
            _judge(one, client, headers, workload.fallback_on)
            tasks.cancel_scope.cancel()

    anyio.run(main, backend_options={"use_uvloop": True})


async def _open(both_asked: anyio.Event, peers: list[Peer]) -> None:
    """Let the late ones go on once the second has been asked."""
    while not peers[1].heard:
        await anyio.lowlevel.checkpoint()
    both_asked.set()
