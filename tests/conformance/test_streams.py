"""Streams and connections under load: stale keep-alives, clients that leave, and what an outage is multiplied by."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple, TypeVar

import pytest

from tests.conformance.asking import HELLO, clients, history, rows
from tests.conformance.stage import Stage, stage
from tests.rigs.misbehaving import PARTS, Manner, Part, Tongue, good, odd_ones, speech, status_answer
from tests.rigs.peers import Peer, Reset, Script, Send, chunk, head
from tests.rigs.process import Daemon, UnixConnection, running

BACK_TO_BACK = 1_000
REUSES = 50
LEAVES_WITHIN_S = 1.0
"""For a busy machine; what is measured is printed, and should be below 0.1."""
STREAMED = [Part(tongue, Manner.STREAMED) for tongue in Tongue]
STRICT = "health = { fall = 1, min_samples = 1, failure_ratio = 0.1 }"
"""One fault ejects: whoever is still there has had none."""
JSON = {"content-type": "application/json"}
T = TypeVar("T")
PATHS = {Tongue.OPENAI: "/v1/chat/completions", Tongue.ANTHROPIC: "/v1/messages"}


class Scene(NamedTuple):
    """One daemon in front of the peers of all tests."""

    daemon: Daemon
    play: Stage
    peers: dict[str, Peer]


def _opened(*events: bytes) -> Script:
    """Return a stream that says these events and then nothing, not even that it is over."""
    opened = head("content-type: text/event-stream", "transfer-encoding: chunked")
    return [Send(opened + b"".join(map(chunk, events)))]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Give the daemon, with a workload of one target for each peer."""
    with stage() as play:
        peers: dict[str, Peer] = {}
        for part in PARTS:
            peers[f"stale-{part}"] = play.house.open(odd_ones(part)["close_despite_keep_alive"])
            for letter in "abc":
                script = [Send(status_answer(part.tongue, "503 Service Unavailable", "service_unavailable"))]
                peers[f"down-{letter}-{part}"] = play.house.open(script)
        for part in STREAMED:
            peers[f"left-{part}"] = play.house.open(_opened(*speech(part.tongue)[:2]))
            peers[f"dies-{part}"] = play.house.open(*[good(part), [Reset()]] * REUSES)
            peers[f"whole-{part}"] = play.house.open(_opened(*speech(part.tongue)[:4]))
        for part in [Part(tongue, Manner.PLAIN) for tongue in Tongue]:
            peers[f"left-{part}"] = play.house.open([])
        for name, one in peers.items():
            tongue = Tongue.OPENAI if Tongue.OPENAI in name else Tongue.ANTHROPIC
            patience = "" if name.startswith("down") else STRICT
            target = play.provider(name, tongue, one.base_url, patience)
            play.workload(name, [target], 'max_wait = "100ms"')
        for part in PARTS:
            play.workload(f"down-{part}", [f"down-{letter}-{part}/m" for letter in "abc"])
        with running(tmp_path_factory.mktemp("d"), play.config) as daemon:
            yield Scene(daemon, play, peers)


def _body(part: Part, model: str) -> bytes:
    streamed = part.manner is Manner.STREAMED
    return json.dumps({"model": model, "max_tokens": 9, "stream": streamed, "messages": HELLO}).encode()


def _requests(scene: Scene, workload: str) -> list[dict[str, Any]]:
    """Return the requests of a workload that have ended."""
    return [
        row
        for row in rows(
            scene.daemon, "SELECT request_id, workload, served_by, outcome FROM request ORDER BY id DESC LIMIT 50"
        )
        if row["workload"] == workload
    ]


def _until(found: Callable[[], T]) -> T:
    """Return what `found` finds, once it finds something."""
    deadline = time.monotonic() + 10
    while not (what := found()):
        assert time.monotonic() < deadline
        os.sched_yield()
    return what


@pytest.mark.parametrize("part", STREAMED, ids=str)
def test_a_peer_that_closes_each_connection_that_it_promised_to_keep_costs_nothing(scene: Scene, part: Part) -> None:
    """Law: a thousand streams back to back, each answered at the first attempt, and no fault on anybody's record."""
    name, peer = f"stale-{part}", scene.peers[f"stale-{part}"]
    with closing(UnixConnection(scene.daemon.socket)) as connection:
        for number in range(BACK_TO_BACK):
            connection.request("POST", PATHS[part.tongue], _body(part, name), JSON)
            answer = connection.getresponse()
            assert (answer.status, answer.headers["fairlead-attempts"]) == (200, "1"), f"request {number}"
            assert answer.read().endswith(speech(part.tongue).end)
    assert len(peer.heard) == BACK_TO_BACK
    assert scene.daemon.target(f"{name}/m")["standing"] == "healthy"
    counted = rows(scene.daemon, "SELECT target, outcome, count(*) AS n FROM attempt GROUP BY target, outcome")
    of_peer = [row for row in counted if row["target"] == f"{name}/m"]
    assert of_peer == [{"target": f"{name}/m", "outcome": "ok", "n": BACK_TO_BACK}]


@pytest.mark.parametrize("part", STREAMED, ids=str)
def test_a_kept_connection_that_dies_on_its_next_request_costs_nothing(scene: Scene, part: Part) -> None:
    """Law: the request goes once more, on a connection that is new, within the same attempt and without a penalty."""
    name, peer = f"dies-{part}", scene.peers[f"dies-{part}"]
    for _ in range(REUSES):
        answer = scene.daemon.ask("POST", PATHS[part.tongue], _body(part, name), JSON)
        assert (answer.status, answer.headers["fairlead-attempts"]) == (200, "1")
    assert len(peer.heard) == 2 * REUSES - 1
    after = scene.daemon.target(f"{name}/m")
    assert (after["standing"], after["success_ratio"]) == ("healthy", 1)


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_a_client_that_leaves_closes_the_call_upstream_and_blames_nobody(scene: Scene, part: Part) -> None:
    """Law: the peer sees the end at once, the target keeps its standing, and the history says `cancelled`."""
    name, peer = f"left-{part}", scene.peers[f"left-{part}"]
    before = scene.daemon.target(f"{name}/m")
    left_at = scene.play.house.left_at(peer)
    with closing(UnixConnection(scene.daemon.socket)) as connection:
        connection.request("POST", PATHS[part.tongue], _body(part, name), JSON)
        if part.manner is Manner.STREAMED:
            answer = connection.getresponse()
            assert b"data:" in answer.read1(65536)
        _until(lambda: peer.heard)
        leaving_at = time.monotonic()
        connection.sock.shutdown(socket.SHUT_RDWR)
    took_s = left_at.result() - leaving_at
    print(f"{part}: the call upstream was closed {took_s * 1e3:.1f} ms after the client had left")  # noqa: T201
    assert took_s < LEAVES_WITHIN_S
    (request,) = _until(lambda: _requests(scene, name))
    assert request["outcome"] == "cancelled"
    (attempt,) = history(scene.daemon, request["request_id"])["attempts"]
    assert (attempt["outcome"], attempt["fault"]) == ("cancelled", "cancelled")
    after = scene.daemon.target(f"{name}/m")
    assert (after["standing"], after["samples"]) == (before["standing"], before["samples"])


@pytest.mark.parametrize("part", STREAMED, ids=str)
def test_a_client_that_leaves_with_the_whole_answer_was_answered(scene: Scene, part: Part) -> None:
    """Law: who hangs up after the last event, as OpenAI's SDK does, had an answer: `ok`, and latency evidence."""
    name = f"whole-{part}"
    with closing(UnixConnection(scene.daemon.socket)) as connection:
        connection.request("POST", PATHS[part.tongue], _body(part, name), JSON)
        answer, said = connection.getresponse(), b""
        while not said.endswith(speech(part.tongue).end):
            said += answer.read1(65536)
    (request,) = _until(lambda: _requests(scene, name))
    assert (request["outcome"], request["served_by"]) == ("ok", f"{name}/m")
    assert scene.daemon.target(f"{name}/m")["samples"] == 1


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_an_outage_is_not_multiplied_by_the_sdks_own_retries(scene: Scene, part: Part) -> None:
    """Law: a workload's three attempts are three calls upstream, whatever retries the SDK has (it has two)."""
    down = [scene.peers[f"down-{letter}-{part}"] for letter in "abc"]
    with clients(scene.daemon, retries=2) as both:
        told = both.ask(part, f"down-{part}")
    assert told.status == 503
    assert told.headers["x-should-retry"] == "false"
    assert [len(one.heard) for one in down] == [1, 1, 1]
    assert len(_requests(scene, f"down-{part}")) == 1
