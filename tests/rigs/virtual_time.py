"""A loop whose clock jumps to the next timer as soon as nothing is ready: an hour costs nothing.

For code that waits on timers and on other tasks alone. A thread is invisible to this clock, so aiosqlite belongs to the
rig with real files.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import anyio

__all__ = ["START", "Deadlocked", "VirtualLoop", "run_virtual"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START = 1000.0
"""The virtual clock's first reading: not zero, so that a time that was never set is noticed."""


class Deadlocked(AssertionError):
    """Every task waits, no timer is set and no socket is ready: real time would pass for ever."""


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of sleeping until the next timer, lets the clock stand there."""

    now = START

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now; where that is nothing, let `timeout` seconds have passed."""
        ready = super().select(0)
        if not ready and timeout is None:
            raise Deadlocked(f"at {self.now - START:g} s of virtual time every task waits and no timer is set")
        if not ready and timeout is not None:
            self.now += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time."""
        return self._jumping.now


def run_virtual(async_fn: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """Run an anyio program on virtual time and return its result. Raises Deadlocked where it would hang."""
    return anyio.run(async_fn, *args, backend_options={"loop_factory": VirtualLoop})
