"""The story on the wall clock: its providers meet the simulator's fates on real connections."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.routing.engine import Engine
from benchmarks.routing.trace import Trace
from benchmarks.story.cast import Cast
from benchmarks.story.script import INDEX, LENGTH_S, phases, script
from probes.calls import CutShort, UpstreamRequest
from probes.policy import Dialect, Provider
from probes.wire import Wires
from tests.benchmarks.simulated import LENGTHS, Scripted, provider, trace
from tests.rigs.loops import on_loop

QUICK = {"t": 0, "ttft": 0.01, "tps": 2000}
Ask = Callable[[str, bytes, str | None], Awaitable[tuple[int, dict[str, str], bytes]]]


def _played(said: Trace, folder: Path, scene: Callable[[Ask], Awaitable[None]]) -> None:
    """Serve the first provider of a trace, and let `scene` ask it: method, body, and the request's index."""

    async def play() -> None:
        player = Cast(said, 1).players[0]
        at = Provider(name="a", dialect=Dialect.OPENAI, base_url=f"unix://{folder}/a.sock", models=())
        wires = Wires()

        async def ask(method: str, body: bytes, index: str | None) -> tuple[int, dict[str, str], bytes]:
            path = "/v1/chat/completions" if method == "POST" else "/story"
            headers = () if index is None else ((INDEX, index),)
            reply = await wires.open(at, UpstreamRequest(method=method, path=path, headers=headers, body=body))
            try:
                return reply.status, dict(reply.headers), await reply.read_all(1_000_000)
            finally:
                await reply.aclose()

        async with AsyncExitStack() as stack:
            await player.serve(folder / "a.sock", stack)
            try:
                await scene(ask)
            finally:
                await wires.aclose()

    on_loop("uvloop", play)


def _steady(**more: object) -> Trace:
    return trace({**provider(), "segments": [QUICK], **more}, arrivals={"rps": 1, **LENGTHS})


def test_the_same_request_meets_the_same_luck_as_in_the_simulator() -> None:
    """The second try of a request and the first canary too: all have the simulator's own keys."""
    said = _steady()
    simulated: list[int] = []

    def twice(policy: Scripted, _request: object) -> None:
        simulated.extend(policy.send(0, policy.engine.requests[0]).luck for _ in range(2))
        simulated.append(policy.send(0, None).luck)

    Engine(trace(provider(), duration=1.5, arrivals={"rps": 1, **LENGTHS}), 1, Scripted(twice)).run()
    cast = Cast(said, 1)
    assert [cast.attempt(0, index).luck for index in ("0", "0", None)] == simulated[:3]


def test_a_stream_has_as_many_words_as_the_request_is_meant_to_get(tmp_path: Path) -> None:
    """The client names only the request; its length is the trace's, and is told in the last event."""

    async def scene(ask: Ask) -> None:
        status, _, body = await ask("POST", b'{"stream": true}', "3")
        assert status == 200
        events = [json.loads(line[6:]) for line in body.decode().split("\n\n")[:-2]]
        words = "".join(choice["delta"].get("content", "") for event in events for choice in event["choices"])
        assert words == " word" * 100
        assert events[-1]["usage"]["completion_tokens"] == 100
        assert body.endswith(b"data: [DONE]\n\n")

    _played(_steady(), tmp_path, scene)


def test_an_answer_that_is_not_streamed_comes_whole(tmp_path: Path) -> None:
    """A canary, which names no request, gets eight words."""

    async def scene(ask: Ask) -> None:
        _, _, body = await ask("POST", b"{}", None)
        assert json.loads(body)["choices"][0]["message"]["content"] == " word" * 8

    _played(_steady(), tmp_path, scene)


def test_a_limit_is_told_and_kept(tmp_path: Path) -> None:
    """Every answer tells what remains; beyond it comes a 429 that names a time in whole seconds."""

    async def scene(ask: Ask) -> None:
        _, headers, _ = await ask("POST", b"{}", "0")
        assert headers["x-ratelimit-remaining-requests"] == "0"
        status, headers, _ = await ask("POST", b"{}", "1")
        assert status == 429
        assert headers["retry-after"] == "60"
        _, _, told = await ask("GET", b"", None)
        kinds = [(one["index"], one["kind"]) for one in json.loads(told)["asked"]]
        assert kinds == [(0, "ok"), (1, "rate_limited")]

    _played(_steady(rpm=1, burst=1, headers=True), tmp_path, scene)


def test_a_cut_stream_ends_without_its_end(tmp_path: Path) -> None:
    """The connection dies where the simulator's stream does, and the provider's own record says so."""

    async def scene(ask: Ask) -> None:
        with pytest.raises(CutShort):
            await ask("POST", b'{"stream": true}', "0")

    _played(_steady(segments=[{**QUICK, "pmid": 1}]), tmp_path, scene)


def test_a_shorter_story_has_the_same_events() -> None:
    """Everything happens sooner, in the same order, and the phases cover the whole."""
    whole, short = script(LENGTH_S), script(LENGTH_S / 4)
    assert [event.t0 / 4 for event in whole.events] == [event.t0 for event in short.events]
    assert [segment.mode for segment in short.providers[0].segments] == ["ok", "5xx", "ok", "ok", "ok"]
    parts = phases(30.0)
    assert (parts[0].start, parts[-1].end) == (0.0, 30.0)
    assert all(before.end == after.start for before, after in pairwise(parts))
