"""Who hears of a limit that a request met: the log, the metrics, and the alarm where it is about money."""

from __future__ import annotations

from typing import Protocol

import structlog

from daemon.limits.accounts import Verdict
from state.history.charges import Charged

__all__ = ["Tally", "Tocsin", "Watching", "outcome_of"]

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

    def limited(self, verdict: Verdict, charged: Charged) -> None:
        """Take note of a limit that a request was over, or near to."""
        outcome = outcome_of(verdict)
        self._tally.limited(verdict.name, outcome)
        _log.info(
            "limited",
            limit=verdict.name,
            outcome=outcome,
            workload=charged.workload,
            team=charged.team,
            user=charged.user,
            reason=verdict.what,
        )
        if verdict.what.startswith("usd_") and not verdict.policy.shadow:
            self._tocsin.budget(f"{verdict.name}/{verdict.subject}", verdict.message)


def outcome_of(verdict: Verdict) -> str:
    """Return what a limit did: `refused`, `warned`, or `shadow` for what it would have done."""
    if verdict.policy.shadow:
        return "shadow"
    return "refused" if verdict.reached and verdict.policy.binds else "warned"
