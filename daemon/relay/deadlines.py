"""Deadlines of the exchanges under way, watched by one coarse sweep instead of a timer for each wait.

A timer set and cleared around every read of every stream costs more than the read. An exchange writes down when it
has waited long enough; the sweep cancels those whose time is over, at most `SWEEP_S` late.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import anyio

from state.pulse import Pulse

__all__ = ["SWEEP_S", "DeadlineSweep", "Watch"]

SWEEP_S = 0.05
"""Seconds between two looks: far below any deadline that a person would configure."""


@cache
def _scope_type() -> type[anyio.CancelScope]:
    """Return what `anyio.CancelScope()` makes here: anyio looks its backend up for each one, at 10 µs."""
    return type(anyio.CancelScope())


class Watch:
    """One exchange's current deadline: `expires_at` is moved by the exchange, `scope` cancelled by the sweep."""

    __slots__ = ("expired", "expires_at", "scope")

    def __init__(self, expires_at: float) -> None:
        """Expire at `expires_at` on the monotonic clock, unless moved before."""
        self.expires_at = expires_at
        self.expired = False
        self.scope = _scope_type()()


class DeadlineSweep:
    """The one task that looks at every watch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Read the time from `clock`, in seconds."""
        self._clock = clock
        self._watches: set[Watch] = set()
        self._work: anyio.Event | None = None
        self.pulse = Pulse(self._wake)

    def add(self, watch: Watch) -> None:
        """Look at `watch` until it is dropped."""
        self._watches.add(watch)
        self._wake()

    def drop(self, watch: Watch) -> None:
        """Stop looking at `watch`."""
        self._watches.discard(watch)

    async def run(self) -> None:
        """Sweep while anything is watched, and sleep without waking otherwise."""
        while True:
            self.pulse.answer()
            if not self._watches:
                self._work = anyio.Event()
                await self._work.wait()
                self._work = None
            await anyio.sleep(SWEEP_S)
            self._sweep()

    def _wake(self) -> None:
        if self._work is not None:
            self._work.set()

    def _sweep(self) -> None:
        now = self._clock()
        for watch in [watch for watch in self._watches if watch.expires_at <= now]:
            watch.expired = True
            self._watches.discard(watch)
            watch.scope.cancel()
