"""The wire against peers that answer well, badly, or not at all."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from probes.calls import CutShort, Disconnected, Garbled, Unsendable, UpstreamRequest
from probes.wire import Reply, Wires
from probes.wire.protocol import HIGH_WATER
from state.faults import Fault
from tests.rigs.peers import (
    EVERY_LOOP,
    Close,
    Dribble,
    Flood,
    Gate,
    HalfClose,
    Peer,
    Reset,
    Script,
    Send,
    answer,
    chunk,
    chunked,
    head,
    on_loop,
    peer,
)
from tests.rigs.wires import ASK, body_of, opened, provider_at


@asynccontextmanager
async def asked(*scripts: Script, request: UpstreamRequest = ASK) -> AsyncIterator[tuple[Reply, Peer, Wires]]:
    """One request to a peer with these scripts, its answer begun."""
    async with peer(*scripts) as rude, opened() as wires:
        yield await wires.open(provider_at(rude.base_url), request), rude, wires


WELL = {
    "of known length": ([Send(answer(b"hello"))], b"hello"),
    "empty": ([Send(answer(b""))], b""),
    "in chunks": ([Send(chunked(b"hel", b"lo"))], b"hello"),
    "in chunks, with trailers": ([Send(chunked(b"hello")[:-2] + b"x-sum: 5\r\n\r\n")], b"hello"),
    "until the close": ([Send(head() + b"hello"), Close()], b"hello"),
    "until the half-close": ([Send(head() + b"hello"), HalfClose()], b"hello"),
    "with connection: close": ([Send(answer(b"hello", "connection: close"))], b"hello"),
    "byte by byte": ([Dribble(chunked(b"hel", b"lo"))], b"hello"),
    "after 100 and 103": (
        [Send(head(status="100 Continue") + head("link: </x>", status="103 Early Hints") + answer(b"hello"))],
        b"hello",
    ),
    "without a body, by its status": ([Send(head(status="204 No Content"))], b""),
    "with an upgrade on offer": ([Send(answer(b"hello", "connection: upgrade", "upgrade: h2c"))], b"hello"),
    "in gzip": ([Send(answer(gzip.compress(b"hello" * 99), "content-encoding: gzip"))], b"hello" * 99),
    "in gzip of two members": (
        [Send(answer(gzip.compress(b"hel") + gzip.compress(b"lo"), "content-encoding: gzip"))],
        b"hello",
    ),
    "in gzip, byte by byte": ([Dribble(answer(gzip.compress(b"hello"), "content-encoding: gzip"))], b"hello"),
    "in deflate": ([Send(answer(zlib.compress(b"hello"), "content-encoding: deflate"))], b"hello"),
    "in raw deflate": ([Send(answer(zlib.compress(b"hello", wbits=-15), "content-encoding: deflate"))], b"hello"),
    "in brotli, left as it is": ([Send(answer(b"\x0b\x02", "content-encoding: br"))], b"\x0b\x02"),
}


@EVERY_LOOP
@pytest.mark.parametrize(("script", "body"), WELL.values(), ids=WELL)
def test_a_whole_answer_is_read_whole(loop: str, script: Script, body: bytes) -> None:
    """However an answer is framed, cut up or compressed, its body arrives unchanged and then ends."""

    async def main() -> None:
        async with asked(script) as (reply, _, _):
            assert await body_of(reply) == body

    on_loop(loop, main)


CUT = {
    "closed before its length": [Send(head("content-length: 10") + b"hello"), Close()],
    "half-closed before its length": [Send(head("content-length: 10") + b"hello"), HalfClose()],
    "reset before its length": [Send(head("content-length: 10") + b"hello"), Reset()],
    "closed before the last chunk": [Send(head("transfer-encoding: chunked") + chunk(b"hello")), Close()],
    "closed within a chunk": [Send(head("transfer-encoding: chunked") + chunk(b"hello") + b"5\r\nhe"), Close()],
    "reset where only the close would end it": [Send(head() + b"hello"), Reset()],
    "gzip that stops short": [Send(answer(gzip.compress(b"hello" * 99)[:-9], "content-encoding: gzip"))],
}


@EVERY_LOOP
@pytest.mark.parametrize("script", CUT.values(), ids=CUT)
def test_a_body_that_stops_short_is_never_taken_as_whole(loop: str, script: Script) -> None:
    """What came before the cut is readable, and then the cut is raised instead of an end."""
    gate = anyio.Event()
    script = [*script[:1], Gate(gate), *script[1:]]

    async def main() -> None:
        async with asked(script) as (reply, _, wires):
            assert (await reply.read()).startswith(b"hel")
            gate.set()
            with pytest.raises(CutShort):
                await body_of(reply)
            await reply.aclose()
            with pytest.raises(anyio.ClosedResourceError):
                await reply.read()
        assert wires.connections == 0

    on_loop(loop, main)


NO_ANSWER = {
    "closes": ([Close()], Disconnected, "without an answer"),
    "resets": ([Reset()], Disconnected, "without an answer"),
    "half-closes": ([HalfClose()], Disconnected, "without an answer"),
    "closes within the head": ([Send(b"HTTP/1.1 200 OK\r\nx-a: "), Close()], Garbled, "within the head"),
    "sends garbage": ([Send(b"<html>no</html>")], Garbled, "not HTTP"),
    "sends a bad status line": ([Send(b"HTTP/1.1 OK 200\r\n\r\n")], Garbled, "not HTTP"),
    "sends two lengths": ([Send(head("content-length: 1", "content-length: 2") + b"ab")], Garbled, "not HTTP"),
    "sends a length and chunks": (
        [Send(head("content-length: 1", "transfer-encoding: chunked"))],
        Garbled,
        "not HTTP",
    ),
    "switches protocols": ([Send(head("upgrade: x", "connection: upgrade", status="101 Go"))], Garbled, "protocol"),
    "sends huge headers": ([Send(answer(b"", *[f"x-{n}: {'y' * 1000}" for n in range(70)]))], Garbled, "64 KiB"),
    "sends one endless header": ([Send(b"HTTP/1.1 200 OK\r\nx: "), Flood(b"y" * 4096, 999)], Garbled, "64 KiB"),
    "sends 1xx for ever": ([Flood(head(status="100 Continue"), 9999)], Garbled, "64 KiB"),
}


@EVERY_LOOP
@pytest.mark.parametrize(("script", "error", "words"), NO_ANSWER.values(), ids=NO_ANSWER)
def test_a_peer_that_does_not_answer_properly_is_named(
    loop: str, script: Script, error: type[Disconnected], words: str
) -> None:
    """The error's kind says whose fault it is, its text says who did what; the connection is closed."""

    async def main() -> None:
        async with peer(script) as rude, opened() as wires:
            with pytest.raises(error, match=words) as caught:
                await wires.open(provider_at(rude.base_url), ASK)
            assert rude.place in str(caught.value)
            assert caught.value.fault in {Fault.UNREACHABLE, Fault.BAD_REPLY}

    on_loop(loop, main)


@EVERY_LOOP
def test_what_is_sent_is_what_was_asked(loop: str) -> None:
    """The path follows the base URL's, the body is counted, headers of the hop are the wire's own."""
    request = UpstreamRequest(
        method="POST",
        path="/chat/completions",
        headers=(("x-a", "1"), ("connection", "upgrade"), ("accept-encoding", "gzip"), ("host", "evil")),
        body=b'{"model":"m"}',
    )

    async def main() -> None:
        async with peer([Send(answer(b"ok"))]) as rude, opened() as wires:
            await body_of(await wires.open(provider_at(rude.base_url + "/v1/"), request))
            (heard,) = rude.heard
            assert (heard.method, heard.path, heard.body) == ("POST", "/v1/chat/completions", request.body)
            assert heard.headers.pop("user-agent").startswith("fairlead/")
            assert heard.headers == {
                "host": rude.place,
                "accept-encoding": "identity",
                "x-a": "1",
                "content-length": "13",
            }

    on_loop(loop, main)


@EVERY_LOOP
def test_headers_come_in_lower_case_and_joined(loop: str) -> None:
    """A reply's headers are one mapping; a decoded body's coding and length are no part of it."""

    async def main() -> None:
        coded = answer(gzip.compress(b"x"), "X-A: 1", "x-a: 2", "Content-Encoding: gzip", status="418 Pot")
        async with asked([Send(coded)]) as (reply, _, _):
            assert reply.status == 418
            assert dict(reply.headers) == {"x-a": "1, 2"}
            assert reply.connect_s > 0

    on_loop(loop, main)


@pytest.mark.parametrize(
    "request_",
    [
        UpstreamRequest(method="GET", path="/models", headers=(("authorization", "Bearer s3cret\r\nx: y"),)),
        UpstreamRequest(method="GET", path="/models", headers=(("x-a", "s3cret\0"),)),
        UpstreamRequest(method="GET", path="/models", headers=(("x-a", "s3cret…"),)),
        UpstreamRequest(method="GET", path="/models", headers=(("x-s3cret\n", "a"),)),
        UpstreamRequest(method="GET", path="/s3cret HTTP/1.1\r\nx: y"),
        UpstreamRequest(method="GET", path="/s3cret with-space"),
    ],
)
def test_nothing_can_be_smuggled_into_a_request(request_: UpstreamRequest) -> None:
    """A line break in any part of the head is refused before a connection is opened, and not repeated."""

    async def main() -> None:
        async with peer([Send(answer())]) as rude, opened() as wires:
            with pytest.raises(Unsendable) as caught:
                await wires.open(provider_at(rude.base_url), request_)
            assert "s3cret" not in str(caught.value)
            assert rude.accepted == 0

    on_loop("asyncio", main)


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
            assert reply.status == 413
            assert await body_of(reply) == b"too large"
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
