"""Who hears of a limit that a request met: the log, the metrics, and the alarm where it is about money."""

from __future__ import annotations

from typing import Final, Protocol

import structlog

from daemon.limits.accounts import Verdict
from state.history.charges import Charged

__all__ = ["Tally", "Tocsin", "Watching", "outcome_of"]

_REMEMBERED: Final = 4096
_log = structlog.get_logger("fairlead.limits")


class Tally(Protocol):
    """What counts: the metrics."""

    def limited(self, name: str, outcome: str) -> None:
        """Count a request that met a limit: `refused`, `warned`, or `shadow` where nothing was enforced."""
        ...


class Tocsin(Protocol):
    """What tells operators: the alarm."""

    def budget(self, account: str, message: str) -> None:
        """Tell of a limit in dollars that is nearly used up, or is."""
        ...


class Watching:
    """Passes what happens at limits on. Called on a session's turn; never waits."""

    def __init__(self, tally: Tally, tocsin: Tocsin) -> None:
        """Tell both."""
        self._tally = tally
        self._tocsin = tocsin
        self._told: dict[tuple[str, ...], None] = {}
        """What operators have heard: each stage of a budget once in its day or month."""

    def limited(self, verdict: Verdict, charged: Charged) -> None:
        """Take note of a limit that a request was over, or near to."""
        outcome = outcome_of(verdict)
        self._tally.limited(verdict.name, outcome)
        say = _log.info if outcome == "refused" else _log.debug
        say(
            "limited",
            limit=verdict.name,
            outcome=outcome,
            workload=charged.workload,
            team=charged.team,
            user=charged.user,
            reason=verdict.what,
        )
        if verdict.budget and not verdict.passing and self._is_news(verdict, outcome):
            told = f"Only watched, nothing is refused: {verdict.message}" if outcome == "shadow" else verdict.message
            self._tocsin.budget(f"{verdict.name}/{verdict.subject}/{verdict.budget}/{outcome}", told)

    def _is_news(self, verdict: Verdict, outcome: str) -> bool:
        """Return whether this was not told yet of a budget's day or month, and note that it is."""
        what = verdict.budget if verdict.frees_at else verdict.what
        stage = (verdict.name, verdict.subject, what, verdict.frees_at, outcome)
        if stage in self._told:
            return False
        self._told[stage] = None
        if len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]
        return True


def outcome_of(verdict: Verdict) -> str:
    """Return what a limit did: `refused`, `warned`, or `shadow` for what it would have done."""
    if verdict.policy.shadow:
        return "shadow"
    return "refused" if verdict.reached and verdict.policy.binds else "warned"
