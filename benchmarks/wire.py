"""CPU that the wire costs per request and per streamed chunk, beside aiohttp's client on the same work.

    gcc -O2 -o mock bench/mock.c && ./mock 4790 &
    python -m benchmarks.wire http://127.0.0.1:4790

The upstream answers a POST with about 1 KB of JSON, one whose body says `"stream":true` with 50 chunks and `[DONE]`,
5 ms apart where the body also says `paced`. CPU is this process's own, so what else runs on the machine hardly matters.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import process_time

import aiohttp
import anyio

from probes.calls import UpstreamRequest
from probes.policy import Dialect, Provider
from probes.wire import Wires

PLAIN = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hello"}]}'
PACED = b'{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"paced"}]}'
HEADERS = {
    "content-type": "application/json",
    "authorization": "Bearer sk-0123456789abcdef",
    "accept": "application/json",
    "user-agent": "OpenAI/Python 3.52.0",
}
PATH = "/v1/chat/completions"
AT_ONCE = 16
REQUESTS = 20_000
STREAMS = 128
STREAMS_AT_ONCE = 32
CHUNKS = 51

Ask = Callable[[bytes], Awaitable[int]]
"""Posts a body and returns how many reads its answer took."""


@asynccontextmanager
async def over_the_wire(url: str) -> AsyncIterator[Ask]:
    """Ask by `probes.wire`."""
    wires = Wires()
    provider = Provider(name="bench", dialect=Dialect.OPENAI, base_url=url, models=())
    headers = tuple(HEADERS.items())

    async def ask(body: bytes) -> int:
        reply = await wires.open(provider, UpstreamRequest(method="POST", path=PATH, headers=headers, body=body))
        reads = 0
        while await reply.read():
            reads += 1
        await reply.aclose()
        return reads

    yield ask
    await wires.aclose()


@asynccontextmanager
async def over_aiohttp(url: str) -> AsyncIterator[Ask]:
    """Ask by an aiohttp session as aiohttp's documentation would have it, without its timeouts."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(body: bytes) -> int:
            async with session.post(url + PATH, data=body, headers=HEADERS) as response:
                reads = 0
                async for _ in response.content.iter_any():
                    reads += 1
                return reads

        yield ask


async def repeat(ask: Ask, body: bytes, times: int) -> int:
    """Ask so many times in a row, and return all reads."""
    return sum([await ask(body) for _ in range(times)])


async def measure(ask: Ask, body: bytes, total: int, at_once: int) -> float:
    """Return the seconds of CPU that `total` requests cost."""
    await ask(body)
    before = process_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(at_once):
            tasks.start_soon(repeat, ask, body, total // at_once)
    return process_time() - before


async def report(name: str, client: Callable[[str], object], url: str) -> None:
    """Print one client's figures."""
    async with client(url) as ask:  # type: ignore[attr-defined]
        one = await measure(ask, PLAIN, REQUESTS // 4, 1) / (REQUESTS // 4)
        many = await measure(ask, PLAIN, REQUESTS, AT_ONCE) / REQUESTS
        stream = await measure(ask, PACED, STREAMS, STREAMS_AT_ONCE) / (STREAMS * CHUNKS)
    print(
        f"{name:8} {one * 1e6:6.1f} µs/request alone  {many * 1e6:6.1f} µs/request at {AT_ONCE}"
        f"  {stream * 1e6:6.1f} µs/chunk at {STREAMS_AT_ONCE} streams"
    )


async def main(url: str) -> None:
    """Measure both, twice, so that the machine's mood shows."""
    for _ in range(2):
        await report("wire", over_the_wire, url)
        await report("aiohttp", over_aiohttp, url)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], backend_options={"use_uvloop": True})
