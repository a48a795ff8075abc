"""Connecting: names, addresses, sockets and deadlines, and what is said when no connection comes about."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from probes.calls import ConnectTimedOut, Unreachable
from probes.policy import Provider
from probes.wire import Wires, dialing
from state.faults import Fault
from tests.rigs.loops import EVERY_LOOP, on_loop
from tests.rigs.peers import Send, answer, peer
from tests.rigs.wires import ASK, body_of, opened, provider_at

OK = Send(answer(b"ok"))


async def ask(wires: Wires, provider: Provider) -> bytes:
    """Ask once, and return the answer's body."""
    return await body_of(await wires.open(provider, ASK))


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


@contextmanager
def full_port() -> Iterator[int]:
    """Hold a port whose backlog is full: it neither accepts nor refuses."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        place = full.getsockname()
        with socket.create_connection(place), socket.socket() as second:
            second.settimeout(0)
            second.connect_ex(place)
            yield place[1]


@EVERY_LOOP
def test_no_connection_is_told_with_its_reason(loop: str, tmp_path: Path) -> None:
    """Refused, no socket, no such name, no usable URL: each is unreachable, and its text says which."""
    port = free_port()
    cases = {
        f"http://127.0.0.1:{port}": f"connection refused by 127.0.0.1:{port}",
        f"http://localhost:{port}": f"connection refused by localhost:{port}",
        f"unix://{tmp_path}/none.sock": f"there is no socket at {tmp_path}/none.sock",
        "http://two..dots": "cannot be the name of a host",
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
        with full_port() as port:
            async with opened() as wires:
                with pytest.raises(ConnectTimedOut, match=r"connect timed out after 0\.05s") as caught:
                    await wires.open(provider_at(f"http://127.0.0.1:{port}", connect_s=0.05), ASK)
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
def test_a_silent_address_delays_the_next_by_no_more_than_its_head_start(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that neither accepts nor refuses is overtaken, and its attempt given up."""
    monkeypatch.setattr(dialing, "HEAD_START_S", 0.01)

    async def main() -> None:
        async with peer([OK]) as rude:
            live = int(rude.place.partition(":")[2])
            with full_port() as silent:
                addresses = [(socket.AF_INET, ("127.0.0.1", port)) for port in (silent, live)]
                with await dialing._race(addresses) as sock:
                    assert sock.getpeername() == ("127.0.0.1", live)

    on_loop(loop, main)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (socket.EAI_NONAME, "no such host: far.invalid:80"),
        (socket.EAI_AGAIN, "far.invalid:80 cannot be resolved: later"),
    ],
)
def test_a_name_that_does_not_resolve_is_told(code: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not exist reads differently from a resolver that does not answer."""

    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "later")

    async def main() -> None:
        async with opened() as wires:
            monkeypatch.setattr(socket, "getaddrinfo", resolve)
            with pytest.raises(Unreachable, match=words):
                await wires.open(provider_at("http://far.invalid"), ASK)
            monkeypatch.undo()

    on_loop("asyncio", main)


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
