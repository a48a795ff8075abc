"""What hedging gains and what it costs: the same requests with and without it, `python -m benchmarks.hedges`.

Two providers answer alike; one answer in twenty begins fifteen times as late. They count what they are asked for, what
they send, and when they see a connection close. The second pair of runs has no such tail: hedging must gain nothing.
"""

from __future__ import annotations

import itertools
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import anyio
import anyio.abc
import httpx2
import msgspec

from benchmarks.processes import BenchmarkError, Process, free_port, until
from benchmarks.systems import FAIRLEAD
from benchmarks.verdict import Verdict

__all__ = ["main"]

_REQUESTS: Final = 1500
_PER_SECOND: Final = 30.0
_WARM: Final = 100
"""Requests at the beginning that are not measured: their figures are only being learned."""
_FIRST_S: Final = 0.04
_SIGMA: Final = 0.15
_TIMES_AS_LATE: Final = 15
_TOKENS: Final = 10
_TOKEN_S: Final = 0.005
_HEDGES_PERCENT: Final = 6.0
_RESERVE: Final = 3
_CLOSED_MS: Final = 100
_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_EVENT: Final = b'data: {"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n'
_DONE: Final = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
_CONFIG: Final = """\
version = 1

[workloads.pair]
targets = ["a/m", "b/m"]
hedge = {hedge}
"""
_PROVIDER: Final = """
[providers.{name}]
dialect = "openai"
base_url = "http://127.0.0.1:{port}/v1"
models = ["m"]
probe = {{ kind = "none" }}
"""


class _Bill(msgspec.Struct):
    """What the providers were asked for and sent."""

    calls: int = 0
    tokens: int = 0
    closed_at: list[float] = msgspec.field(default_factory=list)
    """When a connection was seen to close before its answer was whole."""


class _Run(msgspec.Struct, kw_only=True):
    """What one run came to. Times are seconds."""

    first_s: list[float]
    whole_s: list[float]
    won_at: list[float]
    """When the first content of a request that had been hedged arrived."""
    hedged: int
    failed: int
    bill: _Bill


class _Provider:
    """Answers in streams, late at times; the n-th call has the same luck in every run."""

    def __init__(self, seed: int, tail: float, bill: _Bill) -> None:
        self._luck = random.Random(seed)  # noqa: S311 - the same luck in every run
        self._tail = tail
        self._bill = bill

    async def attend(self, connection: anyio.abc.SocketStream) -> None:
        """Serve one connection until its client closes it."""
        async with connection:
            try:
                while await self._heard(connection):
                    await self._answered(connection)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def _heard(self, connection: anyio.abc.SocketStream) -> bool:
        text = b""
        while b"\r\n\r\n" not in text:
            text += await connection.receive()
        head, _, body = text.partition(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(body) < length:
            body += await connection.receive()
        return True

    async def _answered(self, connection: anyio.abc.SocketStream) -> None:
        self._bill.calls += 1
        first_s = _FIRST_S * self._luck.lognormvariate(0, _SIGMA)
        late = self._luck.random() < self._tail
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, connection, tasks.cancel_scope)
            await anyio.sleep(first_s * (_TIMES_AS_LATE if late else 1))
            await connection.send(_HEAD)
            for _ in range(_TOKENS):
                await connection.send(_chunk(_EVENT))
                self._bill.tokens += 1
                await anyio.sleep(_TOKEN_S)
            tasks.cancel_scope.cancel()
        await connection.send(_chunk(_DONE) + b"0\r\n\r\n")

    async def _watch(self, connection: anyio.abc.SocketStream, answer: anyio.CancelScope) -> None:
        try:
            await connection.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            self._bill.closed_at.append(time.monotonic())
            answer.cancel()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _ask(client: httpx2.AsyncClient, run: _Run, number: int) -> None:
    """Send one request and note how long it took."""
    body = {"model": "pair", "stream": True, "messages": [{"role": "user", "content": "What chafes?"}]}
    asked_at, first_at, done = time.monotonic(), 0.0, False
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        async for line in answer.aiter_lines():
            first_at = first_at or (time.monotonic() if '"content":' in line else 0.0)
            done = done or "[DONE]" in line
    if "fairlead-hedged" in answer.headers:
        run.hedged += 1
        run.won_at.append(first_at)
    run.failed += not (done and first_at)
    if number >= _WARM:
        run.first_s.append(first_at - asked_at)
        run.whole_s.append(time.monotonic() - asked_at)


async def _load(socket: Path, ports: tuple[int, int], tail: float) -> _Run:
    """Send the requests in a steady rhythm to a daemon that has the providers at `ports`."""
    run = _Run(first_s=[], whole_s=[], won_at=[], hedged=0, failed=0, bill=_Bill())
    transport = httpx2.AsyncHTTPTransport(uds=str(socket))
    client = httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=30)
    async with client, anyio.create_task_group() as serving:
        for seed, port in enumerate(ports):
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
            serving.start_soon(listener.serve, _Provider(seed, tail, run.bill).attend)
        began = time.monotonic()
        async with anyio.create_task_group() as asking:
            for number in range(_REQUESTS):
                await anyio.sleep(max(0.0, began + number / _PER_SECOND - time.monotonic()))
                asking.start_soon(_ask, client, run, number)
        await anyio.sleep(_CLOSED_MS / 1e3)
        serving.cancel_scope.cancel()
    return run


def _run(tail: float, hedge: str) -> _Run:
    """Run a daemon with `hedge` as its configuration says it, and the load."""
    ports = (free_port(), free_port())
    with tempfile.TemporaryDirectory(prefix="fairlead-hedges-") as name:
        folder = Path(name)
        providers = [_PROVIDER.format(name=each, port=port) for each, port in zip("ab", ports, strict=True)]
        (folder / "fairlead.toml").write_text(_CONFIG.format(hedge=hedge) + "".join(providers), encoding="ascii")
        socket = folder / "fairlead.sock"
        command = [FAIRLEAD, "serve", "--config", folder / "fairlead.toml", "--socket", socket, "--listen", "none"]
        with Process([*command, "--history", folder / "history.sqlite"], folder / "log") as daemon:
            until(daemon, socket, "/readyz")
            return anyio.run(_load, socket, ports, tail)


def _tell(verdict: Verdict, name: str, run: _Run) -> None:
    for what, times in (("first token", run.first_s), ("whole answer", run.whole_s)):
        cuts = statistics.quantiles(times, n=100)
        verdict.note(f"{name}: {what} p50 {cuts[49] * 1e3:.0f}, p95 {cuts[94] * 1e3:.0f}, p99 {cuts[98] * 1e3:.0f} ms")
    calls, tokens = run.bill.calls / _REQUESTS, run.bill.tokens / _REQUESTS
    verdict.note(f"{name}: {calls:.3f} calls and {tokens:.2f} tokens a request, {run.hedged} hedged")
    verdict.exactly(f"{name}: requests without a whole answer", run.failed, 0)


def main() -> int:
    """Run, print the figures, and return 0 where every bound holds, else 1."""
    verdict = Verdict()
    try:
        for (tail, named), hedge in itertools.product(((0.05, "tail"), (0.0, "no tail")), ("false", "true")):
            run = _run(tail, hedge)
            name = f"{named}, hedge = {hedge}"
            _tell(verdict, name, run)
            if hedge == "true":
                most = _RESERVE + _REQUESTS * _HEDGES_PERCENT / 100
                verdict.at_most(f"{name}: hedges", run.hedged, most)
                verdict.at_most(f"{name}: losers' sockets not seen to close", run.hedged - len(run.bill.closed_at), 0)
                late_s = [min(abs(at - won) for at in run.bill.closed_at) for won in run.won_at if run.bill.closed_at]
                verdict.at_most(f"{name}: slowest close, ms", round(max(late_s, default=0.0) * 1e3, 1), _CLOSED_MS)
    except BenchmarkError as error:
        print(f"hedges: {error}", file=sys.stderr)
        return 1
    return verdict.close()


if __name__ == "__main__":
    sys.exit(main())
