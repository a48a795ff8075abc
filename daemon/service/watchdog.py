"""The watchdog's sign of life: given from the loop that serves requests, and only while every actor answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType, CoroutineType
from typing import Final

import anyio
import msgspec
import structlog

from daemon.service.notify import Notifier
from daemon.service.vigil import Vigil, after_look, hung, rhythm_of
from state.pulse import Pulse

__all__ = ["Watchdog", "Watched"]

_log = structlog.get_logger("fairlead.watchdog")
_HOME: Final = Path(__file__).parents[2]


class Watched(msgspec.Struct, frozen=True):
    """An actor that has to answer, but for the time in which it `waits_on_disk`: a slow disk is no bug of ours."""

    pulse: Pulse
    waits_on_disk: Callable[[], bool] = lambda: False


class Watchdog:
    """Asks each actor for its pulse. One that is hung costs the process its life; a supervisor starts it anew."""

    def __init__(self, notifier: Notifier) -> None:
        """Tell `notifier`; where systemd has no watchdog, who is hung is told in the log alone."""
        self._notifier = notifier
        self._rhythm = rhythm_of(notifier.watchdog_s)
        self._actors: Mapping[str, Watched] = {}
        self._told: tuple[str, ...] = ()

    def watch(self, actors: Mapping[str, Watched]) -> None:
        """Want an answer of these from now on, and of nobody else."""
        self._actors = actors

    async def run(self) -> None:
        """Look, and say that all is well while it is, until cancelled."""
        vigil = Vigil(anyio.current_time())
        while True:
            silent = [name for name, actor in self._actors.items() if not _answers(actor)]
            vigil = after_look(vigil, silent, anyio.current_time(), self._rhythm)
            self._judge(hung(vigil, self._rhythm))
            for name in self._actors.keys() - set(silent):
                self._actors[name].pulse.ask()
            await anyio.sleep(self._rhythm.interval_s)

    def _judge(self, silent: tuple[str, ...]) -> None:
        if not silent:
            self._notifier.alive()
        for name in silent:
            if name not in self._told:
                silent_s = round(self._rhythm.patience_s, 3)
                _log.error("actor_hung", actor=name, silent_s=silent_s, waits_at=_whereabouts(name))
        if silent and not self._told:
            self._notifier.give_up(f"{', '.join(silent)} hung: to be restarted by the watchdog")
        self._told = silent


def _answers(actor: Watched) -> bool:
    return actor.pulse.answered or actor.waits_on_disk()


def _whereabouts(task: str) -> str:
    """Return where the task of that name waits, the outermost first; empty where there is none."""
    for running in anyio.get_running_tasks():
        if running.name == task:
            return " > ".join(_awaited(running.coro))
    return ""


def _awaited(waiting: object) -> list[str]:
    """Return the places of ours in a chain of coroutines, as `file:line`."""
    places: list[str] = []
    while isinstance(waiting, CoroutineType):
        code: CodeType = waiting.cr_code
        file = Path(code.co_filename)
        if waiting.cr_frame is not None and file.is_relative_to(_HOME):
            places.append(f"{file.relative_to(_HOME)}:{waiting.cr_frame.f_lineno}")
        waiting = waiting.cr_await
    return places
