"""What a restart remembers: standings, cooldowns, drains and the latest outcomes, read from the history.

The history's times are Unix time, this process's are monotonic, and the wall clock may have jumped in between. So a
length of time is trusted where a point in time is not: no cooldown comes back longer than it was meant to be.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from state.errors import HistoryError
from state.faults import Fault
from state.history.foreign import UNLIKE_OURS
from state.history.inspection import open_for_reading
from state.history.migrations import APPLICATION_ID, SCHEMA_VERSION
from state.latency.belief import Belief, read_belief
from state.messages import AttemptCompleted, ProbeCompleted
from state.outcome import Outcome, ProbeKind
from state.policy import HealthPolicy
from state.remembered import Remembered
from state.standing import Standing
from state.targets import TargetName

__all__ = ["EVIDENCE_AGE_S", "EVIDENCE_LIMIT", "PaidProbe", "Recollection", "recollect"]

EVIDENCE_AGE_S: Final = 600.0
"""Older outcomes say nothing about now."""
EVIDENCE_LIMIT: Final = 64
"""How many outcomes of a target come back at most."""

_TRANSITION: Final = """
SELECT at_ms, after, cause, until_ms, ejections FROM transition WHERE target = ? ORDER BY id DESC LIMIT 1"""
_DRAIN: Final = """
SELECT at_ms, verb, reason, until_ms FROM operation
WHERE target = ? AND verb IN ('drain', 'resume') ORDER BY id DESC LIMIT 1"""
_ATTEMPTS: Final = """
SELECT at_ms, NULL AS kind, fault, status, reason, first_byte_ms, latency_ms, retry_after_ms, streamed,
  NULL AS cost_usd, id
FROM attempt WHERE target = :target AND at_ms BETWEEN :from_ms AND :to_ms {counted}
ORDER BY at_ms DESC, id DESC LIMIT :limit"""
_BLAMED_SINCE: Final = 2
"""The schema from which on attempts say whose failure they were."""
_COUNTED: Final = "AND coalesce(blame, '') NOT IN ('caller', 'ourselves')"
_PROBES: Final = """
SELECT at_ms, kind, fault, status, reason, first_byte_ms, latency_ms, retry_after_ms, 0 AS streamed, cost_usd, id
FROM probe WHERE target = :target AND at_ms BETWEEN :from_ms AND :to_ms ORDER BY at_ms DESC, id DESC LIMIT :limit"""
_ESTIMATED_SINCE: Final = 3
"""The schema from which on beliefs are kept."""
_BELIEF: Final = "SELECT at_ms, belief FROM estimate WHERE target = ?"
_PAID: Final = "SELECT target, at_ms, coalesce(cost_usd, 0.0) FROM probe WHERE at_ms > ? AND kind = 'canary'"
_DAY_S: Final = 86_400.0
_LAST_RUN: Final = "SELECT ended_ms FROM run ORDER BY id DESC LIMIT 1"


class PaidProbe(msgspec.Struct, frozen=True):
    """A probe that cost something."""

    target: TargetName
    at: float
    """Monotonic seconds."""
    usd: float


class Recollection(msgspec.Struct, frozen=True, kw_only=True):
    """What the history knew at the start."""

    remembered: Mapping[TargetName, Remembered] = MappingProxyType({})
    """Of each target that it knew anything of."""
    cooling: int = 0
    """How many of them were cooling."""
    drained: int = 0
    paid_probes: tuple[PaidProbe, ...] = ()
    """What was paid for probes within the last 24 hours."""
    outcomes: int = 0
    """How many outcomes came back, over all targets."""
    unclean: bool = False
    """Whether the previous run was killed or crashed: its last 250 ms of rows may be missing."""
    trouble: str = ""
    """Why nothing could be read; empty where that went well, and where there is no history yet."""


class _Clock(msgspec.Struct, frozen=True):
    """The two clocks, read at one moment."""

    now: float
    wall_now: float

    def past(self, unix_ms: int) -> float:
        """Return when something happened, on the monotonic clock; never after now, whatever the wall clock did."""
        return self.now - max(0.0, self.wall_now - unix_ms / 1000)

    def end(self, at_ms: int, until_ms: int, longest_s: float) -> float:
        """Return when what began at `at_ms` ends; what is left is never more than it was, nor than `longest_s`."""
        left = until_ms / 1000 - self.wall_now
        return self.now + min(left, max(0, until_ms - at_ms) / 1000, longest_s)


def recollect(path: Path, *, now: float, wall_now: float, policies: Mapping[TargetName, HealthPolicy]) -> Recollection:
    """Return what the history at `path` knows of the targets in `policies`. Never raises for the history's sake.

    `now` is this process's monotonic time in seconds, `wall_now` the Unix time in seconds at the same moment.
    """
    try:
        if not path.exists():
            return Recollection()
        with closing(open_for_reading(path)) as connection:
            _insist_on_ours(connection, path)
            return _recollect(connection, _Clock(now, wall_now), policies)
    except (sqlite3.Error, OSError, HistoryError, ValueError, *UNLIKE_OURS) as error:
        return Recollection(trouble=f"{path} could not be read: {error}")


def _insist_on_ours(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or version > SCHEMA_VERSION:
        raise HistoryError(f"{path} is not a history of this version of fairlead (schema {version})")


def _recollect(
    connection: sqlite3.Connection, clock: _Clock, policies: Mapping[TargetName, HealthPolicy]
) -> Recollection:
    every = {target: _remember(connection, clock, target, policy) for target, policy in policies.items()}
    remembered = {target: one for target, one in every.items() if one != Remembered(target=target)}
    last_run = connection.execute(_LAST_RUN).fetchone()
    day_ago_ms = round((clock.wall_now - _DAY_S) * 1000)
    paid = [
        PaidProbe(TargetName(row[0]), clock.past(row[1]), row[2]) for row in connection.execute(_PAID, (day_ago_ms,))
    ]
    return Recollection(
        remembered=remembered,
        cooling=sum(one.standing is Standing.COOLING for one in remembered.values()),
        drained=sum(one.drained for one in remembered.values()),
        paid_probes=tuple(paid),
        outcomes=sum(len(one.evidence) for one in remembered.values()),
        unclean=last_run is not None and last_run[0] is None,
    )


def _remember(connection: sqlite3.Connection, clock: _Clock, target: TargetName, policy: HealthPolicy) -> Remembered:
    standing = _standing(connection, clock, target, policy.cooldown.max)
    drain = _drain(connection, clock, target)
    belief, evidence = _belief(connection, clock, target), _evidence(connection, clock, target)
    return Remembered(target=target, **standing, **drain, belief=belief, evidence=evidence)


def _belief(connection: sqlite3.Connection, clock: _Clock, target: TargetName) -> Belief | None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    found = connection.execute(_BELIEF, (target,)).fetchone() if version >= _ESTIMATED_SINCE else None
    belief = None if found is None else read_belief(found[1])
    return None if belief is None or found is None else belief.moved(clock.past(found[0]))


def _standing(connection: sqlite3.Connection, clock: _Clock, target: TargetName, longest_s: float) -> dict[str, Any]:
    found = connection.execute(_TRANSITION, (target,)).fetchone()
    if found is None:
        return {}
    at_ms, after, cause, until_ms, ejections = found
    since = clock.past(at_ms)
    until = None
    if after == Standing.COOLING:
        until = since if until_ms is None else clock.end(at_ms, until_ms, longest_s)
    return {"standing": Standing(after), "since": since, "until": until, "cause": cause, "ejections": ejections}


def _drain(connection: sqlite3.Connection, clock: _Clock, target: TargetName) -> dict[str, Any]:
    found = connection.execute(_DRAIN, (target,)).fetchone()
    if found is None or found[1] != "drain":
        return {}
    at_ms, _, reason, until_ms = found
    until = None if until_ms is None else clock.end(at_ms, until_ms, float("inf"))
    if until is not None and until <= clock.now:
        return {}
    return {"drained": True, "drained_until": until, "drain_reason": reason}


def _evidence(
    connection: sqlite3.Connection, clock: _Clock, target: TargetName
) -> tuple[AttemptCompleted | ProbeCompleted, ...]:
    parameters = {
        "target": target,
        "from_ms": round((clock.wall_now - EVIDENCE_AGE_S) * 1000),
        "to_ms": round((clock.wall_now + EVIDENCE_AGE_S) * 1000),
        "limit": EVIDENCE_LIMIT,
    }
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    attempts = _ATTEMPTS.format(counted=_COUNTED if version >= _BLAMED_SINCE else "")
    found = [row for sql in (attempts, _PROBES) for row in connection.execute(sql, parameters)]
    found.sort(key=lambda row: (row[0], row[-1]))
    return tuple(_completed(clock, target, row) for row in found[-EVIDENCE_LIMIT:])


def _completed(clock: _Clock, target: TargetName, row: tuple[Any, ...]) -> AttemptCompleted | ProbeCompleted:
    at_ms, kind, fault, status, reason, first_byte_ms, latency_ms, retry_after_ms, streamed, cost_usd, _ = row
    outcome = Outcome(
        fault=None if fault is None else Fault(fault),
        status=status,
        reason=reason,
        first_byte_s=_seconds(first_byte_ms),
        latency_s=round(latency_ms / 1000, 6),
        retry_after_s=_seconds(retry_after_ms),
        streamed=bool(streamed),
    )
    at = clock.past(at_ms)
    started_at = at - outcome.latency_s
    if kind is None:
        return AttemptCompleted(target=target, outcome=outcome, started_at=started_at, at=at)
    return ProbeCompleted(
        target=target, kind=ProbeKind(kind), outcome=outcome, started_at=started_at, at=at, cost_usd=cost_usd
    )


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else round(ms / 1000, 6)
