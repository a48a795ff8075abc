"""Which chore is next, and who is told when all of his are done: the recorder asks, and does one step at a time."""

from __future__ import annotations

from collections import deque

import msgspec

from state.durations import Seconds
from state.history.pruning import LEAST_S, Pruned, PruneRequested, Room
from state.history.retention import EVERY_S, SHRINK, Chore, Done, chores
from state.policy import HistoryPolicy

__all__ = ["Housekeeping", "pruning_chores"]


class Housekeeping:
    """The chores of the policy, once a minute, and those that somebody asked for, one asker after another."""

    def __init__(self, policy: HistoryPolicy) -> None:
        """Begin with a round at once."""
        self._policy = policy
        self._chores: deque[Chore] = deque()
        self._asked: deque[PruneRequested] = deque()
        self._serving: PruneRequested | None = None
        self._report = Pruned(rows=0, bytes_before=0, bytes_after=0, unused_bytes=0)
        self.due_at = 0.0
        """When the next round begins."""

    @property
    def under_way(self) -> bool:
        """Whether there is something to do whatever the time."""
        return bool(self._chores or self._asked)

    def order(self, asked: PruneRequested) -> None:
        """Do what `asked` wants after what is under way."""
        self._asked.append(asked)

    def next(self, now: float, now_ms: int) -> Chore | None:
        """Return the chore that is next, at monotonic `now` and Unix time `now_ms`; None where nothing is due."""
        if not self._chores and self._serving is None and self._asked:
            self._serving = self._asked.popleft()
            self._report = Pruned(rows=0, bytes_before=0, bytes_after=0, unused_bytes=0)
            self._chores.extend(pruning_chores(self._policy, self._serving.older_than, now_ms))
            self._chores.extend((SHRINK,) if self._serving.room is Room.RETURNED else ())
        elif not self._chores and now >= self.due_at:
            self._chores.extend(chores(self._policy, now_ms))
            self.due_at = now + EVERY_S
        return self._chores[0] if self._chores else None

    def finished(self, done: Done) -> bool:
        """Take note of a step of the chore that was next; return whether all is done that somebody asked for."""
        self._report = msgspec.structs.replace(self._report, rows=self._report.rows + done.deleted)
        if not done.more:
            self._chores.popleft()
        return self._serving is not None and not self._chores

    def report(self, file_bytes: int, unused_bytes: int) -> None:
        """Tell who asked that all is done, and how large the file is now."""
        self._tell(msgspec.structs.replace(self._report, bytes_after=file_bytes, unused_bytes=unused_bytes))

    def began(self, file_bytes: int) -> None:
        """Take note of the size of the file that is pruned, the first time."""
        if not self._report.bytes_before:
            self._report = msgspec.structs.replace(self._report, bytes_before=file_bytes)

    def give_up(self, cause: str) -> None:
        """Drop what is under way, and tell who waits for it why."""
        self._chores.clear()
        self._tell(msgspec.structs.replace(self._report, cause=cause))
        while self._asked:
            self._serving = self._asked.popleft()
            self._tell(Pruned(rows=0, bytes_before=0, bytes_after=0, unused_bytes=0, cause=cause))

    def _tell(self, report: Pruned) -> None:
        serving, self._serving = self._serving, None
        if serving is not None:
            serving.reply.send(report)


def _pruning_policy(policy: HistoryPolicy, older_than: Seconds) -> HistoryPolicy:
    """Return `policy` with raw rows and choices kept no longer than `older_than`; roll-ups stay as they are."""
    longest = max(older_than, Seconds(LEAST_S))
    rows, decisions = min(longest, policy.keep_rows), min(longest, policy.keep_decisions)
    return msgspec.structs.replace(policy, keep_rows=rows, keep_decisions=decisions)


def pruning_chores(policy: HistoryPolicy, older_than: Seconds, now_ms: int) -> tuple[Chore, ...]:
    """Return what deletes raw rows older than `older_than` at Unix time `now_ms`, in order: roll-ups come first."""
    every = chores(_pruning_policy(policy, older_than), now_ms)
    # Counting leaves a small rest for the next round, and no row goes before it is counted.
    return (*(chore for chore in every if not chore.deletes), *every)
