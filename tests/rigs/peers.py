"""A scripted bad peer: an HTTP server on real sockets that does exactly what its script says, however rude.

    async with peer([Send(answer(b"hello"))], [Send(b"HTTP/1.1 200"), Reset()]) as rude:
        ...  # the first request is answered, the second one cut off within the head
        assert rude.heard[0].path == "/v1/chat/completions"

A script is a list of steps, played when a request has come in whole. The n-th request of the peer, on whichever
connection, gets the n-th script; further ones get the last. After its script a connection waits for the next request.
Nothing here sleeps: a `Gate` waits for an event of the test's, and `left` says that the client has closed.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel

__all__ = [
    "Close",
    "Dribble",
    "Flood",
    "Gate",
    "HalfClose",
    "Heard",
    "Peer",
    "Reset",
    "Script",
    "Send",
    "StartTls",
    "answer",
    "chunk",
    "chunked",
    "head",
    "peer",
]

# What a peer may do.


@dataclass(frozen=True)
class Send:
    """Send these bytes at once."""

    data: bytes


@dataclass(frozen=True)
class Dribble:
    """Send these bytes one by one, each in a packet of its own."""

    data: bytes


@dataclass(frozen=True)
class Flood:
    """Send `data` over and over, `times` times, or until the client has gone; `sent` counts the bytes."""

    data: bytes
    times: int
    sent: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Gate:
    """Wait until the test sets the event."""

    event: anyio.Event


@dataclass(frozen=True)
class Close:
    """Close the connection properly."""


@dataclass(frozen=True)
class Reset:
    """Close it with a TCP reset."""


@dataclass(frozen=True)
class HalfClose:
    """Say that nothing more will come, and go on listening."""


@dataclass(frozen=True)
class StartTls:
    """Go on in TLS, as a proxy's tunnel does."""

    context: ssl.SSLContext


Step = Send | Dribble | Flood | Gate | Close | Reset | HalfClose | StartTls
Script = Sequence[Step]


def head(*headers: str, status: str = "200 OK") -> bytes:
    """Return a status line and `headers`, with the empty line after them."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1")


def answer(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    """Return a whole answer of known length."""
    return head(f"content-length: {len(body)}", *headers, status=status) + body


def chunk(data: bytes) -> bytes:
    """Return one chunk; of nothing, the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def chunked(*pieces: bytes, headers: Sequence[str] = ()) -> bytes:
    """Return a whole answer whose body comes in chunks."""
    return head("transfer-encoding: chunked", *headers) + b"".join(map(chunk, [*pieces, b""]))


@dataclass(frozen=True)
class Heard:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    """Which of the peer's connections it came on, from 0."""


class Peer:
    """The running peer: where it is, and what it saw."""

    def __init__(self, scripts: Sequence[Script], base_url: str) -> None:
        """Start with nothing seen."""
        self.base_url = base_url
        self.heard: list[Heard] = []
        self.accepted = 0
        self.open = 0
        """Connections that neither side has closed, as far as the peer has looked."""
        self.left = anyio.Event()
        """Set when a client has closed its connection."""
        self._scripts = scripts

    @property
    def place(self) -> str:
        """The host and port of its URL."""
        return self.base_url.partition("://")[2]

    def next_script(self) -> Script:
        """Return the script of the request heard last."""
        return self._scripts[min(len(self.heard), len(self._scripts)) - 1]


@asynccontextmanager
async def peer(
    *scripts: Script,
    path: str = "",
    tls: ssl.SSLContext | None = None,
    greeting: Script = (),
    reads_bodies: bool = True,
) -> AsyncIterator[Peer]:
    """Run a peer on a free port of 127.0.0.1, or on the Unix socket `path`.

    `greeting` is played on every connection as it opens. With `reads_bodies` false a script starts after the head.
    """
    with socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.settimeout(0)
        listener.bind(path or ("127.0.0.1", 0))
        listener.listen()
        scheme = "https" if tls else "http"
        where = f"unix://{path}" if path else f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        running = Peer(scripts, where)
        async with anyio.create_task_group() as tasks:
            settings = _Settings(running, tls, greeting, reads_bodies)
            tasks.start_soon(_listen, listener, settings, tasks)
            yield running
            tasks.cancel_scope.cancel()


@dataclass(frozen=True)
class _Settings:
    peer: Peer
    tls: ssl.SSLContext | None
    greeting: Script
    reads_bodies: bool


class _Closed(Exception):
    """The script closed the connection."""


async def _listen(listener: socket.socket, settings: _Settings, tasks: anyio.abc.TaskGroup) -> None:
    while True:
        await anyio.wait_readable(listener)
        sock, _ = listener.accept()
        sock.settimeout(0)
        if settings.tls is not None:
            sock = settings.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        tasks.start_soon(_attend, _Talk(sock), settings)


async def _attend(talk: _Talk, settings: _Settings) -> None:
    running = settings.peer
    number = running.accepted
    running.accepted += 1
    running.open += 1
    try:
        await talk.play(settings.greeting)
        while (heard := await talk.hear(number, settings)) is not None:
            running.heard.append(heard)
            await talk.play(running.next_script())
        running.left.set()
    except _Closed:
        pass
    except OSError:
        running.left.set()
    finally:
        running.open -= 1
        talk.sock.close()


class _Talk:
    """One connection's socket, in TLS or not, used without blocking."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._unread = b""

    async def hear(self, number: int, settings: _Settings) -> Heard | None:
        """Return the next request, None where the client closed instead."""
        while b"\r\n\r\n" not in self._unread:
            if not await self._receive():
                return None
        text, _, self._unread = self._unread.partition(b"\r\n\r\n")
        line, *fields = text.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
        body = b""
        if settings.reads_bodies:
            length = int(headers.get("content-length", 0))
            while len(self._unread) < length:
                if not await self._receive():
                    return None
            body, self._unread = self._unread[:length], self._unread[length:]
        method, path, _ = line.split(" ")
        return Heard(method, path, headers, body, number)

    async def play(self, script: Script) -> None:
        """Do each step in turn."""
        for step in script:
            match step:
                case Send(data):
                    await self._send(data)
                case Dribble(data):
                    await self._dribble(data)
                case Flood():
                    await self._flood(step)
                case Gate(event):
                    await event.wait()
                case StartTls(context):
                    self.sock = context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
                case HalfClose():
                    self.sock.shutdown(socket.SHUT_WR)
                case Close():
                    raise _Closed
                case Reset():
                    self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    raise _Closed

    async def _dribble(self, data: bytes) -> None:
        for each in data:
            await self._send(bytes([each]))
            await anyio.lowlevel.checkpoint()

    async def _flood(self, step: Flood) -> None:
        for _ in range(step.times):
            await self._send(step.data)
            step.sent.append(len(step.data))

    async def _receive(self) -> bytes:
        data = await self._patiently(self.sock.recv, 65536)
        self._unread += data
        return data

    async def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[await self._patiently(self.sock.send, view) :]

    async def _patiently(self, call: Callable[..., Any], *arguments: Any) -> Any:
        writes = call == self.sock.send
        while True:
            with suppress(ssl.SSLWantReadError, BlockingIOError):
                return call(*arguments)
            await (anyio.wait_writable if writes else anyio.wait_readable)(self.sock)
