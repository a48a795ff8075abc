"""Attacks on a real daemon, in short: each gets its answer or its end, and an ordinary request is served beside it."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.siege.ammunition import HEAD_BOMBS, PAIRS, REBINDING, SMUGGLED, chat, ordinary
from tests.rigs.process import LAB, Daemon, running, simulate

_BOUNDS = """
[daemon]
header_timeout = "400ms"
body_timeout = "400ms"
send_timeout = "400ms"
max_connections = 24
max_connections_per_peer = 12
drain_grace = "20s"
"""
_ONE = LAB.replace("version = 1\n", "version = 1\n" + _BOUNDS)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give one daemon with little patience; none of the attacks may harm the next."""
    with running(tmp_path_factory.mktemp("d"), _ONE, "--listen", "127.0.0.1:0") as one:
        simulate(one, "one", "m", latency_ms=1, spread=0)
        yield one
        assert one.process is not None
        assert one.process.poll() is None
        assert "Traceback" not in one.log.read_text()


@contextlib.contextmanager
def _connected(daemon: Daemon) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(15)
        client.connect(str(daemon.socket))
        yield client


def _all(client: socket.socket) -> bytes:
    """Return what comes until the daemon ends the connection."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while piece := client.recv(65536):
            answer += piece
    return answer


def _sent(daemon: Daemon, *pieces: bytes) -> bytes:
    with _connected(daemon) as client:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                client.sendall(piece)
        return _all(client)


def _statuses(answer: bytes) -> list[str]:
    return [status.decode() for status in re.findall(rb"HTTP/1\.[01] (\d{3})", answer)]


@pytest.mark.parametrize("name", PAIRS)
def test_what_follows_a_request_whose_end_is_in_doubt_is_never_answered(daemon: Daemon, name: str) -> None:
    """Law: at most one answer, and the connection ends; the smuggled request stays unread."""
    answer = _sent(daemon, PAIRS[name] + SMUGGLED)
    assert len(_statuses(answer)) == 1
    assert _statuses(answer) == (["200"] if name == "an upgrade" else ["400"])


@pytest.mark.parametrize(
    "request_line",
    [b"GET /healthz\r\n\r\n", b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n", PAIRS["TE in HTTP/1.0"]],
    ids=["0.9", "2.0", "1.0-chunked"],
)
def test_another_version_of_http_is_refused_alone_too(daemon: Daemon, request_line: bytes) -> None:
    """Law: 400 without anything behind it."""
    assert _statuses(_sent(daemon, request_line)) == ["400"]


@pytest.mark.parametrize("bomb", HEAD_BOMBS, ids=["many", "long", "request-line", "many-and-long"])
def test_a_head_that_is_too_large_is_a_431_in_every_sdks_shape(daemon: Daemon, bomb: bytes) -> None:
    """Law: the answer is JSON with OpenAI's members and Anthropic's, and repeats nothing of the request."""
    answer = _sent(daemon, bomb)
    assert _statuses(answer) == ["431"]
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (body["type"], body["error"]["code"]) == ("error", "headers_too_large")
    assert b"yyyy" not in answer


def test_headers_that_come_too_slowly_are_given_up_with_a_408(daemon: Daemon) -> None:
    """Law: the time is until the head is whole, however often a byte comes."""
    with _connected(daemon) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
        assert _statuses(_all(client)) == ["408"]


def test_a_connection_that_says_nothing_is_closed_without_a_word(daemon: Daemon) -> None:
    """Law: nobody asked, so nobody is answered."""
    with _connected(daemon) as client:
        assert _all(client) == b""


def test_a_body_that_comes_too_slowly_is_given_up_with_a_408(daemon: Daemon) -> None:
    """Law: the client is told which key to raise."""
    answer = _sent(daemon, chat(b"Content-Length: 1000") + b"{")
    assert _statuses(answer) == ["408"]
    assert b"body_timeout" in answer


def test_a_body_of_a_gigabyte_is_refused_by_its_length_before_it_comes(daemon: Daemon) -> None:
    """Law: 413 at once."""
    assert _statuses(_sent(daemon, chat(b"Content-Length: 1073741824"))) == ["413"]


def test_a_body_without_an_end_is_refused_when_it_is_too_large(daemon: Daemon) -> None:
    """Law: no more than max_body is kept, and who goes on sending still gets to read the answer."""
    chunk = b"100000\r\n" + bytes(2**20) + b"\r\n"
    assert _statuses(_sent(daemon, chat(b"Transfer-Encoding: chunked"), *[chunk] * 20)) == ["413"]


def test_chunks_that_are_all_extension_end_the_connection(daemon: Daemon) -> None:
    """Law: what carries nothing is not read for ever."""
    chunk = b"1;x=" + b"y" * 2**14 + b"\r\nz\r\n"
    with _connected(daemon) as client:
        client.sendall(chat(b"Transfer-Encoding: chunked"))
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                client.sendall(chunk)
            raise AssertionError("16 MB of extensions were taken")


def test_a_mistake_in_a_chunk_that_comes_later_is_answered(daemon: Daemon) -> None:
    """Law: a request that waits for its body hears of it, and what follows is not read."""
    with _connected(daemon) as client:
        client.sendall(chat(b"Transfer-Encoding: chunked", b"Expect: 100-continue"))
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        client.sendall(b"+5\r\nabcde\r\n0\r\n\r\n" + SMUGGLED)
        assert _statuses(_all(client)) == ["400"]


def test_a_compressed_gigabyte_is_a_413_and_an_ordinary_compressed_body_is_read(daemon: Daemon) -> None:
    """Law: the bound is on what comes out."""
    bomb, fine = gzip.compress(bytes(40 * 2**20)), gzip.compress(ordinary("chat"))
    assert daemon.ask("POST", "/v1/chat/completions", bomb, {"content-encoding": "gzip"}).status == 413
    assert daemon.ask("POST", "/v1/chat/completions", fine, {"content-encoding": "gzip"}).status == 200
    assert daemon.ask("POST", "/v1/chat/completions", fine[:-9], {"content-encoding": "gzip"}).status == 400


def test_what_a_web_page_sends_over_tcp_is_refused(daemon: Daemon) -> None:
    """Law: 403 for another Host and for another Origin."""
    port = json.loads(re.findall(r'.*"event":"ready".*', daemon.log.read_text())[0])["listen"][0].partition(":")[2]
    for request in REBINDING:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=15) as client:
            client.sendall(request)
            assert client.recv(100).startswith(b"HTTP/1.1 403")


def test_an_answer_that_nobody_reads_ends_the_connection(daemon: Daemon) -> None:
    """Law: a client that takes nothing of its stream cannot hold its target's place."""
    simulate(daemon, "one", "m", latency_ms=1, spread=0, tokens=20_000, tokens_per_second=1_000_000)
    try:
        body = ordinary("chat", stream=True)
        with _connected(daemon) as client:
            client.sendall(chat(b"Content-Length: %d" % len(body)) + body)
            _until(lambda: 'reason="send_timeout"' in daemon.ask("GET", "/metrics").body.decode())
            assert b"[DONE]" not in _all(client)
    finally:
        simulate(daemon, "one", "m", latency_ms=1, spread=0, tokens=4, tokens_per_second=200)


def _until(true: object) -> None:
    deadline = time.monotonic() + 15
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline


def test_idle_connections_make_room_and_busy_ones_do_not(daemon: Daemon) -> None:
    """Law: the longest idle one goes; where all have a request under way, a newcomer is told 503 and when to come."""
    simulate(daemon, "one", "m", latency_ms=1500, spread=0)
    request = chat(b"Content-Length: %d" % len(ordinary("chat"))) + ordinary("chat")
    try:
        with contextlib.ExitStack() as stack:
            hoard = [stack.enter_context(_connected(daemon)) for _ in range(30)]
            assert hoard[0].recv(1) == b""
            for client in hoard[-12:]:
                client.sendall(request)
            _until(lambda: b"503" in (answer := _knocked(daemon)) and b"retry-after: 1" in answer)
            assert [_statuses(client.recv(65536)) for client in hoard[-12:]] == [["200"]] * 12
    finally:
        simulate(daemon, "one", "m", latency_ms=1, spread=0)


def _knocked(daemon: Daemon) -> bytes:
    """Return what a newcomer hears first: its refusal, or the answer to a question."""
    with _connected(daemon) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(SMUGGLED)
        return client.recv(65536)


def test_who_waits_for_a_slow_provider_or_follows_the_events_is_not_idle(daemon: Daemon) -> None:
    """Law: no patience of the doors ends a request whose head and body are there."""
    simulate(daemon, "one", "m", latency_ms=1500, spread=0)
    try:
        with _connected(daemon) as follower:
            follower.sendall(b"GET /fairlead/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert follower.recv(9999)
            assert daemon.chat("chat").status == 200
            assert daemon.ask("POST", "/fairlead/v1/targets/one/m/drain", {"reason": "seen"}).status == 200
            assert daemon.ask("POST", "/fairlead/v1/targets/one/m/resume").status == 200
            heard = b""
            while b"drain" not in heard:
                heard += (piece := follower.recv(9999))
                assert piece
    finally:
        simulate(daemon, "one", "m", latency_ms=1, spread=0)


def test_the_metrics_tell_who_was_refused_and_the_log_does_so_in_one_line(daemon: Daemon) -> None:
    """Law: counted by reason; the log has few lines, however many there were."""
    for _ in range(50):
        _sent(daemon, PAIRS["CL+TE"])
    metrics = daemon.ask("GET", "/metrics").body.decode()
    assert float(re.findall(r'refused_total\{reason="malformed"\} (\S+)', metrics)[0]) >= 50
    assert float(re.findall(r"^fairlead_connections (\S+)", metrics, re.MULTILINE)[0]) >= 1
    assert daemon.log.read_text().count("connections_refused") < 10


def test_a_daemon_whose_connections_are_hoarded_still_ends(tmp_path: Path) -> None:
    """Law: silent ones, half heads and half bodies hold up the end for seconds, not for the grace."""
    config = LAB.replace("version = 1\n", 'version = 1\n[daemon]\ndrain_grace = "300s"\n')
    with running(tmp_path, config) as daemon, contextlib.ExitStack() as stack:
        for begun in (b"", b"GET /heal", SMUGGLED, chat(b"Content-Length: 9") + b"{"):
            stack.enter_context(_connected(daemon)).sendall(begun)
        assert daemon.chat("chat").status == 200
        assert daemon.stop() == 0
