"""The end of the daemon: what its grace leaves unfinished is told so, and written down as nobody else's doing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.conformance.asking import HELLO
from tests.conformance.scenario import until
from tests.conformance.stage import Stage, stage
from tests.rigs.misbehaving import PARTS, Manner, Part, Tongue, speech
from tests.rigs.peers import Script, Send, chunk, head
from tests.rigs.process import Answer, Daemon, running

_PATHS = {Tongue.OPENAI: "/v1/chat/completions", Tongue.ANTHROPIC: "/v1/messages"}


def _begun(tongue: Tongue) -> Script:
    opened = head("content-type: text/event-stream", "transfer-encoding: chunked")
    return [Send(opened + chunk(speech(tongue).preamble) + chunk(speech(tongue).begun))]


@pytest.fixture(scope="module")
def play() -> Iterator[Stage]:
    """Give the peers of this module: some never answer, some never end."""
    with stage() as play:
        yield play


def _asked(daemon: Daemon, part: Part, model: str) -> Answer:
    body = {"model": model, "max_tokens": 9, "stream": part.manner is Manner.STREAMED, "messages": HELLO}
    return daemon.ask("POST", _PATHS[part.tongue], body)


def _error(answer: Answer) -> dict[str, str]:
    """Return the error of an answer, or of the last event of a stream."""
    last = answer.body.rpartition(b"\ndata: ")[2] if b"data: " in answer.body else answer.body
    error: dict[str, str] = json.loads(last)["error"]
    return error


def test_what_the_grace_leaves_unfinished_is_told_so_and_is_our_own_doing(play: Stage, tmp_path: Path) -> None:
    """Law: 503 or an error event in the dialect's shape; the history says who stopped, and blames ourselves."""
    peers = {f"silent-{part}": (part, play.house.open([])) for part in PARTS}
    streamed = [part for part in PARTS if part.manner is Manner.STREAMED]
    peers |= {f"begun-{part}": (part, play.house.open(_begun(part.tongue))) for part in streamed}
    for name, (part, peer) in peers.items():
        play.workload(name, [play.provider(name, part.tongue, peer.base_url)])
    config = play.config.replace("version = 1\n", 'version = 1\n[daemon]\ndrain_grace = "300ms"\n')
    with ThreadPoolExecutor(len(peers)) as pool, running(tmp_path, config) as daemon:
        asked: dict[str, Future[Answer]] = {
            name: pool.submit(_asked, daemon, part, name) for name, (part, _) in peers.items()
        }
        until(lambda: all(peer.heard for _, peer in peers.values()))
        assert daemon.stop() == 0
        told = {name: future.result() for name, future in asked.items()}
    for name, answer in told.items():
        assert answer.status == (503 if name.startswith("silent") else 200), name
        assert "fairlead stopped" in _error(answer)["message"], name
        assert answer.headers["x-request-id"]
        assert b"[DONE]" not in answer.body
        assert b"message_stop" not in answer.body
    with closing(sqlite3.connect(daemon.history)) as history:
        attempts = history.execute("SELECT DISTINCT outcome, fault, blame, reason FROM attempt").fetchall()
        assert attempts == [("cancelled", "cancelled", "ourselves", "fairlead stopped")]
        ended = dict(history.execute("SELECT workload, outcome FROM request").fetchall())
    assert ended == {name: "failed" if name.startswith("silent") else "cut" for name in peers}
