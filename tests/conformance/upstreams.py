"""Peers for a daemon that is a process of its own: on a loop in another thread, so that a test may block in an SDK."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.rigs.peers import Peer, Script, peer

__all__ = ["Upstreams", "upstreams"]


class Upstreams:
    """Opens peers on the loop of another thread, and closes them all in the end."""

    def __init__(self, portal: BlockingPortal, stack: ExitStack) -> None:
        """Run peers in `portal`'s loop until `stack` is left."""
        self._portal = portal
        self._stack = stack

    def open(self, *scripts: Script, greeting: Script = ()) -> Peer:
        """Open a peer: its n-th request gets the n-th script, further ones the last."""
        return self._stack.enter_context(self._portal.wrap_async_context_manager(peer(*scripts, greeting=greeting)))

    def nobody(self) -> str:
        """Return a base URL at which connections are refused."""
        taken = self._stack.enter_context(socket.socket())
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"

    def event(self) -> anyio.Event:
        """Return an event for a `Gate`."""
        return self._portal.call(anyio.Event)

    def let_go(self, event: anyio.Event) -> None:
        """Set the event that a `Gate` waits for."""
        self._portal.call(event.set)

    def left_at(self, one: Peer) -> Future[float]:
        """Return when, in monotonic seconds, the peer first sees a client leave; TimeoutError after 10 s."""
        return self._portal.start_task_soon(_left_at, one)


async def _left_at(one: Peer) -> float:
    with anyio.fail_after(10):
        await one.left.wait()
    return time.monotonic()


@contextmanager
def upstreams() -> Iterator[Upstreams]:
    """Give a house of peers."""
    with start_blocking_portal("asyncio", {"use_uvloop": True}) as portal, ExitStack() as stack:
        yield Upstreams(portal, stack)
