"""What `systemctl status` shows while the daemon serves: kept true as soon as something changes, without a rush."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from daemon.service.notify import Notifier
from daemon.service.status_line import RELOADING
from state.messages import HealthPublished
from state.registry import HealthListener

__all__ = ["Overhearing", "StatusBoard"]

_PERIOD_S: Final = 2.0
"""Between two looks where nobody has told of a change: what is shown counts down."""
_REST_S: Final = 0.25
"""After a look: under load there is news with each answer."""


class StatusBoard:
    """Owns the status line."""

    def __init__(self, notifier: Notifier) -> None:
        """Show lines through `notifier`."""
        self._notifier = notifier
        self._line = ""
        self._news = anyio.Event()
        self._reading = False
        self._life = anyio.CancelScope()

    def stir(self) -> None:
        """Tell that something has changed."""
        self._news.set()

    def open(self, line: str) -> None:
        """Show `line`, and that the daemon serves."""
        self._line = line
        self._notifier.ready(line)

    def reloading(self) -> None:
        """Tell that a configuration is being read. `reloaded` must follow, however that ends."""
        self._reading = True
        self._notifier.reloading(RELOADING)

    def reloaded(self) -> None:
        """Tell that it was read, and is in force or was refused."""
        self._reading = False
        self._notifier.ready(self._line)
        self.stir()

    def close(self) -> None:
        """Show nothing more: the daemon ends, and says so itself."""
        self._life.cancel()

    async def run(self, look: Callable[[], Awaitable[str]]) -> None:
        """Show what `look` returns whenever that may be another line, until closed or cancelled."""
        with self._life:
            while True:
                self._news = anyio.Event()
                self._show(await look())
                with anyio.move_on_after(_PERIOD_S):
                    await self._news.wait()
                await anyio.sleep(_REST_S)

    def _show(self, line: str) -> None:
        if line != self._line and not self._reading:
            self._line = line
            self._notifier.status(line)


class Overhearing:
    """Hands the registry's news on to whoever they are for, and stirs the board."""

    def __init__(self, listener: HealthListener, board: StatusBoard) -> None:
        """Stand before `listener`."""
        self._listener = listener
        self._board = board

    def post(self, message: HealthPublished, /) -> bool:
        """Leave the newest picture, without waiting."""
        self._board.stir()
        return self._listener.post(message)
