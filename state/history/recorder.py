"""The recorder: the actor that writes the history, and its only writer.

History never slows routing. Whatever is wrong with the file, the recorder keeps a bounded number of rows, counts what
it had to drop, tries again, and writes down the gap as soon as it can. A kill costs at most the last 250 ms of rows: a
row waits at most `_BATCH_S` for others, and a commit in WAL mode outlives the process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, assert_never

import anyio
import structlog

from state.history.backlog import Backlog
from state.history.charges import BudgetRow, ComparisonRow, ReservationRow, ReviewRow, VerdictRow
from state.history.condition import RecorderState
from state.history.housekeeping import Housekeeping
from state.history.migrations import Opening
from state.history.pruning import PruneRequested
from state.history.rows import (
    AlertRow,
    AttemptRow,
    DecisionRow,
    EstimateRow,
    FallbackRow,
    FlushRequested,
    OperationRow,
    ProbeRow,
    RecorderMessage,
    RequestRow,
    TransitionRow,
)
from state.history.sampling import Sampling, sample
from state.history.tables import SampledDecision, inserts_of
from state.history.troubles import Trouble, told
from state.history.writing import HistoryFile, HistoryVanished
from state.mailbox import Mailbox, Reply
from state.policy import HistoryPolicy

__all__ = ["UNSAVED_LIMIT", "Recorder", "RecorderState"]

UNSAVED_LIMIT: Final = 10_000
"""Rows that are kept while the file cannot be written: about 10 MB."""
_TICK_S: Final = 0.025
"""How often the mailbox is emptied while rows come. A wake-up per row would cost more than writing it."""
_COMPANY_S: Final = 0.002
"""How long somebody who waits for a flush waits for others: they share one commit."""
_BATCH_S: Final = 0.15
"""How long the oldest row waits for others."""
_BATCH_ROWS: Final = 100
"""Rows that are written at once without further waiting: the thread hop costs more than the rows (4.3 µs each)."""
_RETRY_BASE_S: Final = 0.25
_RETRY_MAX_S: Final = 5.0

_log = structlog.get_logger("fairlead.history")


class Recorder:
    """Writes what it is sent to the history at `path`.

    `wall` returns Unix seconds; it is read at each flush, to turn the rows' monotonic times into Unix time.
    """

    def __init__(
        self, mailbox: Mailbox[RecorderMessage], path: Path, policy: HistoryPolicy, wall: Callable[[], float]
    ) -> None:
        """Open nothing yet: `run` does."""
        self._mailbox = mailbox
        self._policy = policy
        self._wall = wall
        self._file = HistoryFile(path)
        self._backlog = Backlog(UNSAVED_LIMIT)
        self._sampling = Sampling()
        self._house = Housekeeping(policy)
        self._cause = ""
        self._retry_s = _RETRY_BASE_S
        self._retry_at = 0.0
        self._aside: Path | None = None
        self._batch_at = 0.0
        self._taken_at = 0.0
        self._started_ms = 0
        self._first_at = 0.0
        self._written = 0
        self._closed = False
        self._running: tuple[anyio.CancelScope, anyio.Event] | None = None

    @property
    def state(self) -> RecorderState:
        """How it is now."""
        return RecorderState(
            ok=not (cause := self._cause or self._file.delay),
            cause=cause,
            unsaved_rows=len(self._backlog) + len(self._mailbox),
            lost_rows=self._backlog.lost,
            path=self._file.path,
            file_bytes=self._file.sizes.file,
            wal_bytes=self._file.sizes.wal,
            aside=self._aside,
        )

    @property
    def waits_on_disk(self) -> bool:
        """Whether its next turn waits for the file."""
        return self._file.waits_since is not None

    async def run(self) -> None:
        """Write until cancelled or closed; either way end cleanly. No state of the file raises anything."""
        scope, ended = self._running = anyio.CancelScope(), anyio.Event()
        if self._closed:
            scope.cancel()
        self._taken_at = anyio.current_time()
        self._started_ms = round(self._wall() * 1000)
        try:
            with scope:
                await self._save()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._file.look_through)
                    while True:
                        await self._wait()
                        await self._turn()
        finally:
            with anyio.CancelScope(shield=True):
                await self._finish()
            ended.set()

    async def close(self) -> None:
        """End `run` once everything that waits has been written, or cannot be, and return when it has ended.

        A `run` that has yet to start then ends as soon as it does.
        """
        self._closed = True
        if self._running is not None:
            scope, ended = self._running
            scope.cancel()
            await ended.wait()

    async def _wait(self) -> None:
        """Let time pass until there may be something to do."""
        if not self._cause and (self._backlog.owing or self._house.under_way):
            with anyio.move_on_after(_TICK_S):
                await self._mailbox.arrival(FlushRequested)
                await anyio.sleep(_COMPANY_S)
            return
        due = self._retry_at if self._cause else self._house.due_at
        with anyio.move_on_after(max(0.0, due - anyio.current_time())):
            await self._mailbox.arrival()
            if self._cause:
                await anyio.sleep(_TICK_S)

    async def _turn(self) -> None:
        """Take what came, write it where that is due, then do a small piece of housekeeping where that is due."""
        replies = self._take()
        now = anyio.current_time()
        if replies or self._due(now):
            saved = await self._save()
            for reply in replies:
                reply.send(saved)
        if not self._cause:
            await self._keep_house(now)

    def _due(self, now: float) -> bool:
        if self._cause:
            return now >= self._retry_at
        full = len(self._backlog) >= _BATCH_ROWS
        return full or (self._backlog.owing and now >= self._batch_at)

    def _take(self) -> list[Reply[bool]]:
        """Empty the mailbox into the backlog; return who waits for a flush."""
        now = anyio.current_time()
        if not self._backlog.owing:
            self._batch_at = now + _BATCH_S
        if dropped := self._mailbox.take_dropped():
            self._backlog.lose("more rows came than the recorder could take", dropped, self._taken_at, now)
        self._taken_at = now
        replies = [reply for message in self._mailbox.take_all() if (reply := self._note(message)) is not None]
        if self._cause:
            self._backlog.trim(self._cause)
        return replies

    def _note(self, message: RecorderMessage) -> Reply[bool] | None:
        match message:
            case FlushRequested():
                return message.reply
            case PruneRequested():
                self._house.order(message)
            case DecisionRow():
                self._sampling, stands_for = sample(self._sampling, message.at, self._policy.decisions_per_second)
                if stands_for:
                    self._backlog.add(SampledDecision(message, stands_for))
            case (
                ProbeRow()
                | RequestRow()
                | AttemptRow()
                | FallbackRow()
                | TransitionRow()
                | OperationRow()
                | AlertRow()
                | EstimateRow()
                | ReservationRow()
                | BudgetRow()
                | ComparisonRow()
                | ReviewRow()
                | VerdictRow()
            ):
                self._backlog.add(message)
            case _:
                assert_never(message)
        return None

    async def _save(self) -> bool:
        """Write everything that waits; return whether the file has it. A cancellation waits for the end of it."""
        with anyio.CancelScope(shield=True):
            try:
                await self._write_backlog()
            except HistoryVanished as trouble:
                await self._file.close()
                self._account_for_vanished(str(trouble))
                return await self._save()
            except Trouble as trouble:
                await self._suffer(trouble)
                return False
        return True

    async def _write_backlog(self) -> None:
        if not self._file.is_open:
            await self._open()
        now = anyio.current_time()
        rows = (*self._backlog.rows, *self._backlog.gaps(now))
        refused = await self._file.write(inserts_of(rows, self._wall() - now)) if rows else 0
        self._backlog.settle()
        self._written += len(rows) - refused
        if refused:
            self._backlog.lose("the schema refused them, which is a bug", refused, rows[0].at, rows[-1].at)
        if self._cause:
            _log.info("history_well", path=str(self._file.path), lost_rows=self._backlog.lost)
        self._cause, self._retry_s = "", _RETRY_BASE_S

    async def _open(self) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._wall()))
        await self._file.open(self._started_ms, Opening(stamp, self._policy.keep_backups, _log.info))
        self._tell_aside()
        self._first_at, self._written = anyio.current_time(), 0

    def _tell_aside(self) -> None:
        if (aside := self._file.take_aside()) is not None:
            self._aside = aside
            cause = f"{self._file.path} was damaged; it was set aside as {aside.name}, and a new one begun"
            _log.error("history_set_aside", path=str(self._file.path), aside=str(aside))
            at = anyio.current_time()
            self._backlog.add(AlertRow(at=at, kind="history_damaged", workload=None, target=None, message=cause))
            self._account_for_vanished(cause)

    def _account_for_vanished(self, cause: str) -> None:
        if self._written:
            self._backlog.lose(cause, self._written, self._first_at, anyio.current_time())
            self._written = 0

    async def _suffer(self, trouble: Exception) -> None:
        """Go on without the file for a while."""
        self._file.suffered(trouble)
        await self._file.close()
        cause = told(trouble, self._file.path)
        if cause != self._cause:
            _log.error("history_unwritable", reason=cause, unsaved_rows=len(self._backlog))
        self._cause = cause
        self._retry_at = anyio.current_time() + self._retry_s
        self._retry_s = min(self._retry_s * 2, _RETRY_MAX_S)
        self._house.give_up(cause)

    async def _keep_house(self, now: float) -> None:
        """Do one step of the roll-ups and deletes, where any is due."""
        chore = self._house.next(now, round(self._wall() * 1000))
        if chore is not None:
            with anyio.CancelScope(shield=True):
                try:
                    self._house.began(self._file.sizes.file)
                    if self._house.finished(await self._file.perform(chore)):
                        self._house.report(*await self._file.settled())
                except Trouble as trouble:
                    await self._suffer(trouble)

    async def _finish(self) -> None:
        """Write what still waits, and leave a file that anyone who may read it can open."""
        try:
            replies = self._take()
            saved = await self._save()
            for reply in replies:
                reply.send(saved)
            if saved:
                await self._file.finish(round(self._wall() * 1000))
        except Trouble as trouble:
            self._cause = told(trouble, self._file.path)
        finally:
            self._house.give_up("the daemon ends")
            await self._file.close()  # else its thread would keep a process alive that a bug has ended
