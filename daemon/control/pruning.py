"""Pruning the history on an operator's behalf: the recorder alone writes the file, so it is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import anyio
import msgspec
from aiohttp import web

from daemon.control.operating import json_body, problem
from daemon.faces.refusals import RefusalKind
from state.durations import LONGEST_DRAIN_S, Seconds
from state.history.pruning import LEAST_S, Pruned, PruneRequested, Room
from state.history.rows import OperationRow, RecorderMessage
from state.mailbox import Address, Reply

__all__ = ["Pruning"]

_PATIENCE_S: Final = 600.0


class _Prune(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    older_than_s: Annotated[float, msgspec.Meta(ge=LEAST_S, le=LONGEST_DRAIN_S)]
    room: Room = Room.KEPT


class Pruning:
    """Has the recorder delete old rows, and waits for it."""

    def __init__(self, recorder: Address[RecorderMessage], clock: Callable[[], float]) -> None:
        """Ask through `recorder`."""
        self._recorder = recorder
        self._clock = clock

    async def prune(self, request: web.BaseRequest, by: str) -> dict[str, Any]:
        """Prune on behalf of the user `by`. Raises Problem where the body does not fit or nothing can be written."""
        asked = await json_body(request, _Prune)
        reason = f"rows older than {asked.older_than_s:.0f} s"
        self._recorder.post(OperationRow(at=self._clock(), verb="prune", target=None, by=by, reason=reason))
        reply: Reply[Pruned] = Reply()
        self._recorder.post(PruneRequested(older_than=Seconds(asked.older_than_s), room=asked.room, reply=reply))
        with anyio.move_on_after(_PATIENCE_S):
            report = await reply.wait()
            if report.cause:
                raise problem(RefusalKind.HISTORY, f"The history is not pruned: {report.cause}.")
            return {name: getattr(report, name) for name in report.__struct_fields__ if name != "cause"}
        raise problem(RefusalKind.STOPPING, f"Not done within {_PATIENCE_S:g}s; it goes on.")
