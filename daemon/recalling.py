"""What the start needs of the history, read beside the loop: a disk may be slow, and a dead one stops no start."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import msgspec
import structlog

from daemon.service.notify import Notifier
from daemon.service.status_line import RECALLING
from probes.canaries import Spent
from state.history.recollection import Recollection, recollect
from state.history.spending import Spending, recollect_spending
from state.policy import HealthPolicy
from state.targets import TargetName

__all__ = ["RECALL_S", "Recalled", "recalled"]

_log = structlog.get_logger("fairlead")
RECALL_S: Final = 120.0
"""Seconds after which the daemon starts without its memory."""
_BEAT_S: Final = 2.0
_EXTENSION_S: Final = 10.0
"""How much more time each beat asks of the service manager."""


class Recalled(msgspec.Struct, frozen=True):
    """What came back."""

    past: Recollection
    spending: Spending

    @property
    def spent(self) -> tuple[Spent, ...]:
        """What canaries have cost within the last day."""
        return tuple(Spent(paid.target, paid.at, paid.usd) for paid in self.past.paid_probes)


async def recalled(
    history: Path, policies: Mapping[TargetName, HealthPolicy], notifier: Notifier, longest_s: float = RECALL_S
) -> Recalled:
    """Return what the file at `history` knows of the targets in `policies`, nothing where it takes `longest_s` seconds.

    Asks for more time to start while it reads. Never raises for the history's sake.
    """
    found: Recalled | None = None
    read = partial(_read, history, policies, anyio.current_time())
    with anyio.move_on_after(longest_s):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_ask_for_time, notifier)
            found = await anyio.to_thread.run_sync(read, abandon_on_cancel=True)
            tasks.cancel_scope.cancel()
    if found is None:
        trouble = f"{history} could not be read within {longest_s:g}s: look at its disk"
        found = Recalled(Recollection(trouble=trouble), Spending(trouble=trouble))
    _say(found.past)
    return found


def _read(history: Path, policies: Mapping[TargetName, HealthPolicy], now: float) -> Recalled:
    wall_now = time.time()
    past = recollect(history, now=now, wall_now=wall_now, policies=policies)
    return Recalled(past, recollect_spending(history, wall_now))


async def _ask_for_time(notifier: Notifier) -> None:
    while True:
        notifier.extend(_EXTENSION_S, RECALLING)
        await anyio.sleep(_BEAT_S)


def _say(past: Recollection) -> None:
    """Say what came back from the history, and whether the last run could end it properly."""
    if past.trouble:
        _log.warning("history_not_recalled", reason=past.trouble)
    if past.remembered:
        standings = {target: remembered.standing.value for target, remembered in past.remembered.items()}
        _log.info("history_recalled", standings=standings, outcomes=past.outcomes, after_a_crash=past.unclean)
