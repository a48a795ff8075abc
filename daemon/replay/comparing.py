"""What was chosen beside what is chosen now: reproduced only where nothing of it differs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from daemon.replay.setting import SettingUnreadable, replayed, unpacked
from daemon.routing.strategies.known import UnknownStrategy
from state.history.decisions import RecordedChoice

__all__ = ["Comparison", "Finding", "Made", "compared"]

_ENCODER: Final = msgspec.json.Encoder()


class Finding(StrEnum):
    """What came of making a choice again."""

    REPRODUCED = "reproduced"
    DIFFERS = "differs"
    WITHOUT_SETTING = "without_setting"
    """What it was made from was not recorded."""
    UNREADABLE = "unreadable"
    """What was recorded is not what this version reads."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a choice came to, either time."""

    chosen: str | None
    strategy: str
    reason: str
    candidates: Mapping[str, Mapping[str, Any]]
    """By target: `score` and `terms`, or `skipped`, as they stand in the history."""

    @property
    def score(self) -> float | None:
        """The score of the target that was chosen; None where nobody was."""
        score: float | None = self.candidates.get(self.chosen or "", {}).get("score")
        return score


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded choice, and what it comes to now."""

    row: RecordedChoice
    finding: Finding
    then: Made | None = None
    """As it was recorded, where it differs."""
    now: Made | None = None
    why: str = ""
    """Why it cannot be made again."""

    @property
    def differing(self) -> tuple[str, ...]:
        """The candidates that were seen differently, in the order of now."""
        if self.then is None or self.now is None:
            return ()
        before, after = self.then.candidates, self.now.candidates
        return tuple(name for name in {**after, **before} if before.get(name) != after.get(name))


def compared(row: RecordedChoice) -> Comparison:
    """Make a recorded choice again with the code of now. Never raises for what is in the row."""
    if row.setting is None:
        return Comparison(row=row, finding=Finding.WITHOUT_SETTING)
    try:
        choice = replayed(unpacked(row.setting))
        candidates = _ENCODER.encode(choice.candidates).decode()
        outline = (choice.chosen, choice.strategy, choice.reason)
        if (*outline, candidates) == (row.chosen, row.strategy, row.reason, row.candidates):
            return Comparison(row=row, finding=Finding.REPRODUCED)
        then, now = _made(row.chosen, row.strategy, row.reason, row.candidates), _made(*outline, candidates)
    except (SettingUnreadable, UnknownStrategy, msgspec.MsgspecError) as error:
        return Comparison(row=row, finding=Finding.UNREADABLE, why=str(error))
    if then == now:  # the same in another order
        return Comparison(row=row, finding=Finding.REPRODUCED)
    return Comparison(row=row, finding=Finding.DIFFERS, then=then, now=now)


def _made(chosen: str | None, strategy: str, reason: str, candidates: str) -> Made:
    """Return either as the history tells it: both have been through the same JSON."""
    known = {candidate["target"]: candidate for candidate in msgspec.json.decode(candidates)}
    return Made(chosen=chosen, strategy=strategy, reason=reason, candidates=known)
