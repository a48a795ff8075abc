"""Opening a connection: names, addresses in a race, a proxy's tunnel, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from itertools import chain, zip_longest
from typing import Any, TypeVar

import anyio
import msgspec

from probes.calls import Unreachable
from probes.origin import Origin
from probes.wire.proxies import Proxy

__all__ = ["Route", "dial"]

HEAD_START_S = 0.25
"""How long one address may try alone before the next one joins: RFC 8305's recommended delay."""
_MAX_TUNNEL_HEAD = 16 * 1024
_BUSY_S = 0.005

Address = tuple[int, Any]
"""A family, and what `connect` takes in it."""
P = TypeVar("P", bound=asyncio.Protocol)


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The way to an origin: directly or through a proxy, in TLS or not."""

    origin: Origin
    proxy: Proxy | None = None
    tls: ssl.SSLContext | None = None

    @property
    def place(self) -> str:
        """The first hop, which is what a failed connect speaks of."""
        return self.proxy.place if self.proxy else self.origin.place


async def dial(route: Route, protocol: Callable[[], P]) -> P:
    """Return a protocol from the factory, connected along `route`.

    Raises OSError in any of its kinds, and Unreachable where a proxy refuses; the caller sets the deadline.
    """
    loop = asyncio.get_running_loop()
    sock = await _open_socket(route)
    with ExitStack() as undo:
        undo.callback(_let_go, loop, sock)
        if route.origin.scheme == "unix":
            transport, connected = await loop.create_unix_connection(protocol, sock=sock)
        else:
            name = route.origin.host if route.tls else None
            transport, connected = await loop.create_connection(
                protocol, sock=sock, ssl=route.tls, server_hostname=name
            )
        if not transport.is_closing():
            undo.pop_all()
    return connected


def _let_go(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    """Leave a descriptor to uvloop, which may have closed it without telling the socket object.

    That object would close whatever has the same number by then. asyncio's transports close the object itself.
    """
    if not isinstance(loop, asyncio.BaseEventLoop):
        sock.detach()


async def _open_socket(route: Route) -> socket.socket:
    if route.origin.scheme == "unix":
        return await _connect_unix(route.origin.socket_path)
    if route.proxy is None:
        return await _connect_host(route.origin.host, route.origin.port)
    sock = await _connect_host(route.proxy.host, route.proxy.port)
    if route.tls is not None:
        with ExitStack() as undo:
            undo.callback(sock.close)
            await _tunnel(sock, route.proxy, route.origin)
            undo.pop_all()
    return sock


async def _connect_unix(path: str) -> socket.socket:
    """Connect at once or not at all; only a full backlog asks to come again."""
    with ExitStack() as undo:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        undo.callback(sock.close)
        sock.settimeout(0)
        while True:
            try:
                sock.connect(path)
            except BlockingIOError:
                await anyio.sleep(_BUSY_S)
            else:
                undo.pop_all()
                return sock


async def _connect_host(host: str, port: int) -> socket.socket:
    addresses = await _addresses(host, port)
    if len(addresses) == 1:
        return await _connect(addresses[0])
    return await _race(addresses)


async def _addresses(host: str, port: int) -> list[Address]:
    """Resolve without blocking the loop; an address written as such needs no resolver. Families take turns."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [(family, address) for family, _, _, _, address in found]
    first = [address for address in addresses if address[0] == addresses[0][0]]
    second = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for address in chain.from_iterable(zip_longest(first, second)) if address is not None]


async def _connect(address: Address) -> socket.socket:
    family, where = address
    with ExitStack() as undo:
        sock = socket.socket(family, socket.SOCK_STREAM)
        undo.callback(sock.close)
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, where)
        undo.pop_all()
    return sock


async def _race(addresses: list[Address]) -> socket.socket:
    """Happy eyeballs: uvloop's `create_connection` has none, so both loops run this one."""
    won: list[socket.socket] = []
    failed: list[OSError] = []

    async def attempt(address: Address, settled: anyio.Event) -> None:
        try:
            won.append(await _connect(address))
        except OSError as problem:
            failed.append(problem)
        else:
            undo.callback(won[-1].close)
            racers.cancel_scope.cancel()
        settled.set()

    with ExitStack() as undo:
        async with anyio.create_task_group() as racers:
            for address in addresses:
                settled = anyio.Event()
                racers.start_soon(attempt, address, settled)
                with anyio.move_on_after(HEAD_START_S):
                    await settled.wait()
        if not won:
            raise failed[0]
        undo.pop_all()
    for spare in won[1:]:
        spare.close()
    return won[0]


async def _tunnel(sock: socket.socket, proxy: Proxy, origin: Origin) -> None:
    """Ask the proxy for a tunnel. Raises Unreachable where it answers with anything but success."""
    loop = asyncio.get_running_loop()
    lines = [f"CONNECT {origin.place} HTTP/1.1", f"host: {origin.place}"]
    if proxy.credentials:
        lines.append(f"proxy-authorization: {proxy.credentials.value}")
    await loop.sock_sendall(sock, "\r\n".join([*lines, "", ""]).encode("latin-1"))
    head = b""
    while b"\r\n\r\n" not in head:
        piece = await loop.sock_recv(sock, _MAX_TUNNEL_HEAD)
        head += piece
        if not piece or len(head) > _MAX_TUNNEL_HEAD:
            raise Unreachable(f"{proxy.place} broke off when asked for a tunnel to {origin.place}")
    status = head.partition(b"\r\n")[0].partition(b" ")[2]
    if not status.startswith(b"2"):
        code = status[:3].decode("ascii", "replace")
        raise Unreachable(f"{proxy.place} refused a tunnel to {origin.place} with status {code}")
