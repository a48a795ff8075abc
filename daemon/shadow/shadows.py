"""The actor that asks candidates: a few copies at a time, never in a request's way, and dropped before they pile up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import anyio
import anyio.abc

from daemon.relay.gear import Surroundings
from daemon.relay.request_ids import new_request_id
from daemon.relay.session import Session
from daemon.relay.unheard import Unheard
from daemon.shadow.copies import Copied, compared, copy_of
from daemon.shadow.overhearing import Overheard
from state.mailbox import Mailbox

__all__ = ["Shadows"]


class Shadows:
    """Owns the copies under way. They end with it."""

    def __init__(self, mailbox: Mailbox[Copied], around: Callable[[], Surroundings]) -> None:
        """Take requests from `mailbox`, and send copies in the surroundings of the moment."""
        self._mailbox = mailbox
        self._around = around
        self._under_way: Counter[str] = Counter()
        self._life = anyio.CancelScope()

    def close(self) -> None:
        """End the copies under way and take no more: the daemon waits for its clients, and not for these."""
        self._life.cancel()

    async def run(self) -> None:
        """Send copies until closed or cancelled."""
        with self._life:
            await self._take_in()

    async def _take_in(self) -> None:
        async with anyio.create_task_group() as tasks:
            while True:
                await self._mailbox.arrival()
                for copied in self._mailbox.take_all():
                    self._take(copied, tasks)

    def _take(self, copied: Copied, tasks: anyio.abc.TaskGroup) -> None:
        workload = copied.row.workload
        if self._under_way[workload] >= copied.shadow.max_in_flight:
            self._around().witnesses.metrics.shadowed(workload, "dropped")
            return
        self._under_way[workload] += 1
        tasks.start_soon(self._ask, copied)

    async def _ask(self, copied: Copied) -> None:
        try:
            await self._compare(copied)
        finally:
            self._under_way[copied.row.workload] -= 1

    async def _compare(self, copied: Copied) -> None:
        around = self._around()
        call = copy_of(copied, new_request_id(), around.gear.clock())
        session, heard = Session(call, around), Overheard(Unheard(), call.surface)
        answer = None
        with anyio.move_on_after(copied.shadow.timeout):
            answer = await session.run(heard)
        if session.ending is None:
            return
        row = compared(copied, session.ending, heard.said(answer), around.gear.clock())
        around.witnesses.recorder.post(row)
        around.witnesses.metrics.shadowed(row.workload, row.shadow_outcome)
