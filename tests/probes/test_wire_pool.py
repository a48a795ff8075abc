"""Connections: how they are opened, kept, reused, found dead and closed."""

from __future__ import annotations

import socket
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec
import pytest

from probes.calls import ConnectTimedOut, Disconnected, Unreachable
from probes.policy import Provider
from probes.wire import Wires, dialing, pool
from state.errors import WireError
from state.faults import Fault
from tests.rigs.peers import EVERY_LOOP, Close, Gate, Reset, Send, answer, chunked, head, on_loop, peer
from tests.rigs.wires import ASK, body_of, opened, provider_at

OK = Send(answer(b"ok"))


async def ask(wires: Wires, provider: Provider) -> bytes:
    """Ask once, and return the answer's body."""
    return await body_of(await wires.open(provider, ASK))


@EVERY_LOOP
def test_a_connection_serves_one_request_after_another(loop: str) -> None:
    """What ended properly is used again, and costs no connecting."""

    async def main() -> None:
        async with peer([OK], [Send(chunked(b"o", b"k"))], [OK]) as rude, opened() as wires:
            provider = provider_at(rude.base_url)
            for _ in range(3):
                assert await ask(wires, provider) == b"ok"
            reply = await wires.open(provider, ASK)
            assert reply.connect_s == 0.0
            assert await body_of(reply) == b"ok"
            assert (rude.accepted, wires.connections) == (1, 1)

    on_loop(loop, main)


@EVERY_LOOP
def test_requests_at_the_same_time_have_connections_of_their_own(loop: str) -> None:
    """No exchange waits for another one's connection; the one that idled last is used first."""

    async def main() -> None:
        async with peer([OK]) as rude, opened() as wires:
            provider = provider_at(rude.base_url)
            replies = [await wires.open(provider, ASK) for _ in range(3)]
            assert rude.accepted == 3
            for reply in replies:
                await body_of(reply)
            await ask(wires, provider)
            assert rude.heard[-1].connection == 2

    on_loop(loop, main)


@EVERY_LOOP
@pytest.mark.parametrize("end", [Close(), Reset()])
def test_a_connection_closed_while_it_idled_is_not_used(loop: str, end: Close | Reset) -> None:
    """A peer that closes right after its answer, keep-alive or not, harms no next request."""
    gate = anyio.Event()

    async def main() -> None:
        async with peer([OK, Gate(gate), end], [OK]) as rude, opened() as wires:
            provider = provider_at(rude.base_url)
            await ask(wires, provider)
            gate.set()
            while wires.connections:
                await anyio.lowlevel.checkpoint()
            assert await ask(wires, provider) == b"ok"
            assert (rude.accepted, wires.stale) == (2, {})

    on_loop(loop, main)


@EVERY_LOOP
@pytest.mark.parametrize("end", [Close(), Reset()])
def test_a_reused_connection_that_dies_unanswered_is_replaced_unseen(loop: str, end: Close | Reset) -> None:
    """The request goes out once more on a new connection; it is counted, and nobody's fault."""

    async def main() -> None:
        async with peer([OK], [end], [Send(answer(b"again"))]) as rude, opened() as wires:
            provider = provider_at(rude.base_url)
            await ask(wires, provider)
            reply = await wires.open(provider, ASK)
            assert reply.connect_s > 0
            assert await body_of(reply) == b"again"
            assert [heard.connection for heard in rude.heard] == [0, 0, 1]
            assert wires.stale == {"lab": 1}

    on_loop(loop, main)


@EVERY_LOOP
def test_a_peer_that_closes_every_kept_connection_loses_no_request(loop: str) -> None:
    """Closing at once after the last chunk, while promising keep-alive, is what llama.cpp's server does."""
    script = [Send(chunked(b"ok", headers=["keep-alive: timeout=5, max=100"])), Close()]

    async def main() -> None:
        async with peer(script) as rude, opened() as wires:
            for _ in range(50):
                assert await ask(wires, provider_at(rude.base_url)) == b"ok"

    on_loop(loop, main)


@EVERY_LOOP
def test_a_request_is_repeated_only_once(loop: str) -> None:
    """Where the new connection dies unanswered too, the peer is unreachable."""

    async def main() -> None:
        async with peer([OK], [Close()]) as rude, opened() as wires:
            provider = provider_at(rude.base_url)
            await ask(wires, provider)
            with pytest.raises(Disconnected):
                await wires.open(provider, ASK)
            assert len(rude.heard) == 3

    on_loop(loop, main)


@EVERY_LOOP
def test_a_reused_connection_that_dies_in_its_answer_is_not_replaced(loop: str) -> None:
    """Once a byte of the answer came, the request has been worked on and is not sent again."""

    async def main() -> None:
        async with peer([OK], [Send(b"HTTP/1.1 2"), Close()]) as rude, opened() as wires:
            provider = provider_at(rude.base_url)
            await ask(wires, provider)
            with pytest.raises(WireError) as caught:
                await wires.open(provider, ASK)
            assert getattr(caught.value, "fault", None) is Fault.BAD_REPLY
            assert (len(rude.heard), wires.stale) == (2, {})

    on_loop(loop, main)


@EVERY_LOOP
def test_bytes_on_an_idle_connection_close_it(loop: str) -> None:
    """What nobody asked for, such as a late 408, is never taken for the next request's answer."""
    gate = anyio.Event()

    async def main() -> None:
        async with peer([OK, Gate(gate), Send(answer(b"late", status="408 Timeout"))], [OK]) as rude, opened() as wires:
            await ask(wires, provider_at(rude.base_url))
            gate.set()
            await rude.left.wait()
            assert await ask(wires, provider_at(rude.base_url)) == b"ok"

    on_loop(loop, main)


@EVERY_LOOP
@pytest.mark.parametrize(
    "headers", [("connection: close",), ("keep-alive: timeout=1",), ("Keep-Alive: max=5, timeout=0",)]
)
def test_a_peer_that_wants_no_second_request_gets_none(loop: str, headers: tuple[str, ...]) -> None:
    """`connection: close`, or a patience within the safety margin, ends a connection with its answer."""

    async def main() -> None:
        async with peer([Send(answer(b"ok", *headers))]) as rude, opened() as wires:
            await ask(wires, provider_at(rude.base_url))
            await rude.left.wait()
            assert wires.connections == 0

    on_loop(loop, main)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 15), ("timeout=5, max=100", 4), ("max=3,Timeout = 8", 7), ("timeout=600", 15), ("timeout=x", 15), ("", 15)],
)
def test_a_connection_idles_a_second_less_than_the_peer_allows(header: str | None, seconds: float) -> None:
    """The peer's `keep-alive` is obeyed with a margin, and never stretches our own bound."""
    assert pool._patience(header) == seconds


@EVERY_LOOP
def test_what_idled_too_long_is_closed(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep closes what expired, and what it has not seen yet is not used either."""
    monkeypatch.setattr(pool, "IDLE_S", 0.001)
    monkeypatch.setattr(pool, "_SWEEP_S", 0.01)

    async def main() -> None:
        async with peer([OK]) as rude, opened() as wires:
            await ask(wires, provider_at(rude.base_url))
            await rude.left.wait()
            assert wires.connections == 0

    on_loop(loop, main)


@EVERY_LOOP
def test_no_more_than_so_many_connections_idle(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound, the connection that idled longest goes."""
    monkeypatch.setattr(pool, "MAX_IDLE", 2)

    async def main() -> None:
        async with peer([OK]) as rude, opened() as wires:
            replies = [await wires.open(provider_at(rude.base_url), ASK) for _ in range(4)]
            for reply in replies:
                await body_of(reply)
            while wires.connections > 2:
                await anyio.lowlevel.checkpoint()

    on_loop(loop, main)


@EVERY_LOOP
def test_a_changed_provider_gets_new_connections(loop: str) -> None:
    """After a reload nothing goes over a connection that was opened under other settings."""

    async def main() -> None:
        async with peer([OK]) as old, peer([OK]) as new, opened() as wires:
            await ask(wires, provider_at(old.base_url))
            await ask(wires, provider_at(new.base_url))
            await old.left.wait()
            assert len(new.heard) == 1

    on_loop(loop, main)


@EVERY_LOOP
def test_dropping_a_provider_lets_its_exchanges_finish(loop: str) -> None:
    """`keep` closes what idles of the others at once, and what serves when it is done."""
    gate = anyio.Event()
    script = [Send(head("content-length: 4") + b"he"), Gate(gate), Send(b"re")]

    async def main() -> None:
        async with peer(script) as gone, peer([OK]) as kept, opened() as wires:
            stays = provider_at(kept.base_url, name="kept")
            await ask(wires, stays)
            reply = await wires.open(provider_at(gone.base_url), ASK)
            wires.keep([msgspec.structs.replace(stays)])
            gate.set()
            assert await body_of(reply) == b"here"
            await gone.left.wait()
            await ask(wires, stays)
            assert kept.accepted == 1

    on_loop(loop, main)


@EVERY_LOOP
def test_closing_ends_what_is_under_way(loop: str) -> None:
    """After `aclose` no connection is left, a pending read has failed, and nothing new is opened."""

    async def main() -> None:
        async with peer([Send(head("content-length: 4") + b"he")]) as rude, opened() as wires:
            reply = await wires.open(provider_at(rude.base_url), ASK)
            assert await reply.read() == b"he"
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_expect_failure, reply.read)
                await anyio.wait_all_tasks_blocked()
                await wires.aclose()
            await rude.left.wait()
            with pytest.raises(anyio.ClosedResourceError):
                await wires.open(provider_at(rude.base_url), ASK)

    on_loop(loop, main)


async def _expect_failure(read: object) -> None:
    with pytest.raises(WireError):
        await read()  # type: ignore[operator]


@EVERY_LOOP
def test_a_unix_socket_serves_like_any_host(loop: str, tmp_path: Path) -> None:
    """`unix:///path.sock` reaches an HTTP server there, under a prefix where one is named."""
    path = str(tmp_path / "llm.sock")

    async def main() -> None:
        async with peer([OK], path=path) as rude, opened() as wires:
            await ask(wires, provider_at(rude.base_url))
            await ask(wires, provider_at(rude.base_url + ":/v1"))
            assert [heard.path for heard in rude.heard] == ["/chat/completions", "/v1/chat/completions"]
            assert rude.heard[0].headers["host"] == "localhost"

    on_loop(loop, main)


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@EVERY_LOOP
def test_no_connection_is_told_with_its_reason(loop: str, tmp_path: Path) -> None:
    """Refused, no socket, no such name, no usable URL: each is unreachable, and its text says which."""
    port = free_port()
    cases = {
        f"http://127.0.0.1:{port}": f"connection refused by 127.0.0.1:{port}",
        f"http://localhost:{port}": f"connection refused by localhost:{port}",
        f"unix://{tmp_path}/none.sock": f"there is no socket at {tmp_path}/none.sock",
        "http://256.0.0.1.invalid": "256.0.0.1.invalid:80",
        "ftp://127.0.0.1": "provider lab cannot be reached: 'ftp' is no scheme",
        "unix://relative.sock": "three slashes",
    }

    async def main() -> None:
        async with opened() as wires:
            for url, words in cases.items():
                with pytest.raises(Unreachable) as caught:
                    await wires.open(provider_at(url), ASK)
                assert words in str(caught.value)

    on_loop(loop, main)


@EVERY_LOOP
def test_connecting_has_a_deadline(loop: str) -> None:
    """A host that takes no connection is given up after `timeouts.connect`, as a timeout."""

    async def main() -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            place = full.getsockname()
            with socket.create_connection(place), socket.socket() as second:
                second.settimeout(0)
                second.connect_ex(place)
                async with opened() as wires:
                    with pytest.raises(ConnectTimedOut, match=r"connect timed out after 0\.05s") as caught:
                        await wires.open(provider_at(f"http://127.0.0.1:{place[1]}", connect_s=0.05), ASK)
                    assert caught.value.fault is Fault.TIMEOUT

    on_loop(loop, main)


@EVERY_LOOP
def test_a_full_unix_socket_is_waited_for(loop: str, tmp_path: Path) -> None:
    """A backlog that is full for a moment is no failure; one that stays full is a timeout."""
    path = str(tmp_path / "full.sock")

    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as first:
            full.bind(path)
            full.listen(0)
            first.connect(path)
            async with opened() as wires:
                with pytest.raises(ConnectTimedOut):
                    await wires.open(provider_at(f"unix://{path}", connect_s=0.05), ASK)

    on_loop(loop, main)


@EVERY_LOOP
def test_addresses_race_and_the_first_to_answer_wins(loop: str) -> None:
    """A name with a dead address beside a live one connects to the live one."""

    async def main() -> None:
        async with peer([OK]) as rude:
            live = int(rude.place.partition(":")[2])
            dead = free_port()
            addresses = [(socket.AF_INET, ("127.0.0.1", port)) for port in (dead, live)]
            with await dialing._race(addresses) as sock:
                assert sock.getpeername() == ("127.0.0.1", live)
            with pytest.raises(ConnectionRefusedError):
                await dialing._race(addresses[:1])

    on_loop(loop, main)


@EVERY_LOOP
def test_the_families_of_a_name_take_turns(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken IPv6 costs one head start, not one for each of its addresses."""
    found = [(socket.AF_INET6, ("::1", 1)), (socket.AF_INET6, ("::2", 1)), (socket.AF_INET, ("127.0.0.1", 1))]

    def resolve(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in found]

    async def main() -> None:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        assert [where[0] for _, where in await dialing._addresses("x", 1)] == ["::1", "127.0.0.1", "::2"]
        monkeypatch.undo()

    on_loop(loop, main)


@EVERY_LOOP
def test_many_cancelled_at_any_moment_leave_nothing(loop: str) -> None:
    """Whatever an exchange was doing when it was cancelled, its connection is idle or gone."""

    async def main() -> None:
        async with peer([Send(chunked(b"o", b"k"))]) as rude, opened() as wires:
            provider = provider_at(rude.base_url)
            for turns in range(40):
                async with anyio.create_task_group() as tasks:
                    for _ in range(4):
                        tasks.start_soon(ask, wires, provider)
                    for _ in range(turns % 20):
                        await anyio.lowlevel.checkpoint()
                    tasks.cancel_scope.cancel()
            assert await ask(wires, provider) == b"ok"
            assert all(connection.idle_until is not None or connection.closed for connection in wires._live)

    on_loop(loop, main)


def test_what_wires_hold_can_be_seen() -> None:
    """The reprs tell an operator with a debugger what idles and what serves."""

    async def main() -> None:
        async with peer([OK]) as rude, opened() as wires:
            await ask(wires, provider_at(rude.base_url))
            assert repr(wires) == "<Wires connections=1 [<Pool lab idle=1>]>"
            assert [repr(each) for each in wires._live] == [f"<Connection {rude.place} idle status=200 unread=0>"]

    on_loop("uvloop", main)
