"""Connections: how they are kept, reused, found dead and closed."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import msgspec
import pytest

from probes.calls import Disconnected, Unreachable
from probes.policy import Provider
from probes.wire import Wires, pool
from state.errors import WireError
from state.faults import Fault
from tests.rigs.loops import EVERY_LOOP, on_loop
from tests.rigs.peers import Close, Gate, Reset, Send, answer, chunked, head, peer
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
def test_what_expired_between_two_sweeps_is_not_used(loop: str) -> None:
    """A connection past its time is closed when it would be taken, sweep or no sweep."""

    async def main() -> None:
        async with peer([OK]) as rude, opened() as wires:
            await ask(wires, provider_at(rude.base_url))
            (connection,) = wires._live
            connection.idle_until = 0.0
            await ask(wires, provider_at(rude.base_url))
            assert connection.closed
            assert rude.accepted == 2

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
            with pytest.raises(Unreachable, match="fairlead is stopping"):
                await wires.open(provider_at(rude.base_url), ASK)

    on_loop(loop, main)


async def _expect_failure(read: object) -> None:
    with pytest.raises(WireError):
        await read()  # type: ignore[operator]


def test_what_wires_hold_can_be_seen() -> None:
    """The reprs tell an operator with a debugger what idles and what serves."""

    async def main() -> None:
        async with peer([OK]) as rude, opened() as wires:
            await ask(wires, provider_at(rude.base_url))
            assert repr(wires) == "<Wires connections=1 [<Pool lab idle=1>]>"
            assert [repr(each) for each in wires._live] == [f"<Connection {rude.place} idle status=200 unread=0>"]

    on_loop("uvloop", main)
