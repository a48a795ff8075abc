"""The wire against peers that answer well, badly, or not at all."""

from __future__ import annotations

import gzip
import zlib

import anyio
import pytest

from probes.calls import CutShort, Disconnected, Garbled, Unsendable, UpstreamRequest
from state.faults import Fault
from tests.rigs.loops import EVERY_LOOP, on_loop
from tests.rigs.peers import (
    Close,
    Dribble,
    Flood,
    Gate,
    HalfClose,
    Reset,
    Script,
    Send,
    answer,
    chunk,
    chunked,
    head,
    peer,
)
from tests.rigs.wires import ASK, asked, body_of, opened, provider_at

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
