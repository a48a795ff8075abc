"""The flow of bytes: what is held back, what is cut off, and what stops when nobody wants it any more."""

from __future__ import annotations

import gzip

import anyio
import pytest

from probes.calls import Garbled, UpstreamRequest
from probes.wire.protocol import HIGH_WATER, PIECE
from tests.rigs.loops import EVERY_LOOP, on_loop
from tests.rigs.peers import (
    Flood,
    Gate,
    Send,
    answer,
    chunked,
    head,
    peer,
)
from tests.rigs.wires import ASK, asked, body_of, opened, provider_at


@EVERY_LOOP
def test_a_cancelled_read_closes_the_connection(loop: str) -> None:
    """A client that left costs the provider no further work: the peer sees the close at once."""

    async def main() -> None:
        async with asked([Send(head("content-length: 10") + b"hello")]) as (reply, rude, wires):
            assert await reply.read() == b"hello"
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(reply.read)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            await rude.left.wait()
            await reply.aclose()
            assert wires.connections == 0

    on_loop(loop, main)


@EVERY_LOOP
def test_a_cancelled_open_closes_the_connection(loop: str) -> None:
    """A peer that never answers loses its connection with the deadline of whoever waits."""

    async def main() -> None:
        async with peer([]) as rude, opened() as wires:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wires.open, provider_at(rude.base_url), ASK)
                while not rude.heard:
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            await rude.left.wait()

    on_loop(loop, main)


@EVERY_LOOP
def test_an_answer_left_half_read_closes_its_connection(loop: str) -> None:
    """Closing a reply before its body has ended gives nothing back to the pool."""

    async def main() -> None:
        async with asked([Send(head("content-length: 10") + b"hello")]) as (reply, rude, _):
            await reply.aclose()
            await rude.left.wait()

    on_loop(loop, main)


@EVERY_LOOP
def test_a_peer_faster_than_its_reader_is_held_back(loop: str) -> None:
    """Unread body is bounded by the high-water mark, and nothing of it is lost."""
    flood = Flood(b"y" * 65536, 512)

    async def main() -> None:
        script = [Send(head(f"content-length: {512 * 65536}")), flood]
        async with asked(script) as (reply, _, _):
            connection = reply._connection
            assert connection is not None
            while not connection._paused:
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            assert HIGH_WATER < connection.answer.unread <= 2 * HIGH_WATER
            assert len(flood.sent) < 512
            assert len(await body_of(reply)) == 512 * 65536

    on_loop(loop, main)


@EVERY_LOOP
def test_a_large_request_arrives_whole(loop: str) -> None:
    """A body far beyond the socket's buffers is written piece by piece to its end."""
    body = bytes(range(256)) * 40_000

    async def main() -> None:
        request = UpstreamRequest(method="POST", path="/", body=body)
        async with asked([Send(answer(b"ok"))], [Send(answer(b"again"))], request=request) as (reply, rude, wires):
            assert await body_of(reply) == b"ok"
            assert rude.heard[0].body == body
            assert await body_of(await wires.open(provider_at(rude.base_url), ASK)) == b"again"
            assert rude.accepted == 1

    on_loop(loop, main)


@EVERY_LOOP
def test_an_answer_before_the_request_has_gone_out_is_read(loop: str) -> None:
    """A peer that refuses a large body early is heard, and its connection not used again."""

    async def main() -> None:
        request = UpstreamRequest(method="POST", path="/", body=b"y" * 40_000_000)
        done = anyio.Event()
        script = [Send(answer(b"too large", status="413 Too Large")), Gate(done)]
        async with peer(script, reads_bodies=False) as rude, opened() as wires:
            reply = await wires.open(provider_at(rude.base_url), request)
            connection = reply._connection
            assert connection is not None
            assert connection._transport is not None
            assert connection._transport.get_write_buffer_size() <= 2 * PIECE
            assert reply.status == 413
            assert await body_of(reply) == b"too large"
            assert connection.closed
            done.set()
            await wires.aclose()

    on_loop(loop, main)


@EVERY_LOOP
def test_read_all_refuses_what_is_longer_than_allowed(loop: str) -> None:
    """A small compressed body that swells is stopped by the limit, not by the memory."""

    async def main() -> None:
        bomb = gzip.compress(b"0" * 50_000_000)
        async with asked([Send(answer(bomb, "content-encoding: gzip"))], [Send(answer(b"ok"))]) as (reply, rude, wires):
            with pytest.raises(Garbled, match="longer than 1000000 bytes"):
                await reply.read_all(1_000_000)
            again = await wires.open(provider_at(rude.base_url), ASK)
            assert await again.read_all(2) == b"ok"

    on_loop(loop, main)


@EVERY_LOOP
def test_a_body_that_is_not_compressed_as_it_says_is_garbled(loop: str) -> None:
    """What cannot be decompressed is the provider's bad reply."""

    async def main() -> None:
        async with asked([Send(answer(b"plain", "content-encoding: gzip"))]) as (reply, _, _):
            with pytest.raises(Garbled):
                await body_of(reply)

    on_loop(loop, main)


@EVERY_LOOP
def test_many_cancelled_at_any_moment_leave_nothing(loop: str) -> None:
    """Whatever an exchange was doing when it was cancelled, its connection is idle or gone."""

    async def main() -> None:
        async with peer([Send(chunked(b"o", b"k"))]) as rude, opened() as wires:

            async def ask() -> bytes:
                return await body_of(await wires.open(provider_at(rude.base_url), ASK))

            for turns in range(40):
                async with anyio.create_task_group() as tasks:
                    for _ in range(4):
                        tasks.start_soon(ask)
                    for _ in range(turns % 20):
                        await anyio.lowlevel.checkpoint()
                    tasks.cancel_scope.cancel()
            assert await ask() == b"ok"
            assert all(connection.idle_until is not None or connection.closed for connection in wires._live)

    on_loop(loop, main)
