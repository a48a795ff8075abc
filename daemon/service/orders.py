"""What the process is told by signals, from its first moment to its last: end, end at once, reload."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio
import anyio.abc
import structlog

__all__ = ["Orders"]

T = TypeVar("T")
_log = structlog.get_logger("fairlead")
_HEARD: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""The last two would end a process that does not handle them. Python itself ignores SIGPIPE."""


class Orders:
    """Owns what was ordered. Reloads that are ordered while one is under way make one more, and not each their own."""

    def __init__(self) -> None:
        """Start without an order."""
        self.end = anyio.Event()
        """Set once the daemon is to end."""
        self.hurry = anyio.Event()
        """Set once it is to end without waiting for requests: somebody pressed Ctrl-C twice, and means it."""
        self._reload = anyio.Event()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Take signals until cancelled."""
        with anyio.open_signal_receiver(*_HEARD) as signals:
            task_status.started()
            async for number in signals:
                self._take(number)

    async def reload(self) -> None:
        """Return once a reload is ordered that was not returned for before."""
        await self._reload.wait()
        self._reload = anyio.Event()

    async def unless_ended(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Return what `work` returns, or cancel it and return None where the daemon is to end before."""
        done: T | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel, tasks.cancel_scope)
            done = await work()
            tasks.cancel_scope.cancel()
        return done

    async def _cancel(self, scope: anyio.CancelScope) -> None:
        await self.end.wait()
        scope.cancel()

    def _take(self, number: signal.Signals) -> None:
        match number:
            case signal.SIGTERM | signal.SIGINT:
                _log.info("stopping", signal=number.name)
                (self.hurry if self.end.is_set() else self.end).set()
            case signal.SIGHUP:
                self._reload.set()
            case _:
                _log.info("signal_ignored", signal=number.name, remedy="SIGHUP reloads, SIGTERM ends")
