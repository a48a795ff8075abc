"""`POST /fairlead/v1/reviews/…`: what a person makes of an answer that is to be looked at."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import anyio
import anyio.to_thread
import msgspec

from daemon.control.operating import problem
from daemon.faces.refusals import RefusalKind
from state.errors import HistoryError
from state.history.charges import VerdictRow
from state.history.inspection import Cell, query
from state.history.rows import FlushRequested, OperationRow, RecorderMessage
from state.mailbox import Address, Reply

__all__ = ["Look", "Reviewing"]

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_FLUSH_S: Final = 5.0
_FOUND: Final = (
    "SELECT verdict.verdict, verdict.by FROM review LEFT JOIN verdict USING (request_id) WHERE request_id = '{}'"
)
_VERBS: Final = {"approved": "approve", "rejected": "reject"}


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a look at an answer came to."""

    verdict: Literal["approved", "rejected"]
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Reviewing:
    """Gives verdicts one after the other, so that of two on one answer the second is told of the first."""

    def __init__(
        self, recorder: Address[RecorderMessage], path: Callable[[], Path], clock: Callable[[], float]
    ) -> None:
        """Write verdicts to the history at `path`, through its recorder."""
        self._recorder = recorder
        self._path = path
        self._clock = clock
        self._turn = anyio.Lock()
        self._unwritten: dict[str, tuple[str, str]] = {}
        """Verdicts that wait for a history that cannot be written, and by whom they are."""

    async def decide(self, request_id: str, look: Look, by: str) -> dict[str, Any]:
        """Write down what the user `by` makes of an answer.

        Raises Problem where no such answer is to be looked at, somebody has decided already, or the history is in
        trouble.
        """
        if not _ID.fullmatch(request_id):
            raise problem(RefusalKind.INVALID_REQUEST, f"{request_id[:80]!r} is no request's id; see x-request-id.")
        async with self._turn:
            await self._flushed()
            await self._insist_on_pending(request_id)
            now = self._clock()
            self._recorder.post(
                VerdictRow(at=now, request_id=request_id, verdict=look.verdict, by=by, reason=look.reason)
            )
            told = f"{request_id}: {look.reason}" if look.reason else request_id
            self._recorder.post(OperationRow(at=now, verb=_VERBS[look.verdict], target=None, by=by, reason=told))
            self._unwritten[request_id] = (look.verdict, by)
            if not await self._flushed():
                message = f"The verdict on {request_id} waits: the history cannot be written now; see fairlead status."
                raise problem(RefusalKind.HISTORY, message)
        return {"request_id": request_id, "verdict": look.verdict, "by": by, "reason": look.reason}

    async def _insist_on_pending(self, request_id: str) -> None:
        try:
            found = await anyio.to_thread.run_sync(query, self._path(), _FOUND.format(request_id))
        except HistoryError as error:
            raise problem(RefusalKind.HISTORY, f"The history cannot tell: {error}.") from error
        if not found.rows:
            message = f"No answer to {request_id} is to be reviewed; `fairlead review` lists those that are."
            raise problem(RefusalKind.NOT_FOUND, message)
        verdict, by = self._unwritten.get(request_id) or map(_text, found.rows[0])
        if verdict:
            raise problem(RefusalKind.DECIDED, f"{request_id} was {verdict} by {by} already; the first verdict holds.")

    async def _flushed(self) -> bool:
        """Return whether everything so far has reached the file."""
        saved: Reply[bool] = Reply()
        self._recorder.post(FlushRequested(reply=saved))
        with anyio.move_on_after(_FLUSH_S):
            if await saved.wait():
                self._unwritten.clear()
                return True
        return False


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else ""
