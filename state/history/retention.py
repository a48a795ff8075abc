"""How the history stays small: what is rolled up, by the hour and the quarter of one, and what is deleted when.

Pure: SQL and its parameters. The recorder performs one chore step at a time between two flushes, so each step is small.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from state.history.spending import KEPT_S
from state.policy import HistoryPolicy

__all__ = ["EVERY_S", "SHRINK", "Chore", "Done", "chores"]

EVERY_S: Final = 60.0
"""Seconds between two rounds of chores. Shorter than the hour rolled up: so the views add few rows themselves."""

_SLICE: Final = 2000
"""Rows of one step of a roll-up: about 10 ms of work."""
_DELETED: Final = 500
"""Rows of one step of a delete, which touches every index: at most 0.08 s of 450,000 rows. Both are well
inside the 250 ms in which rows must reach the file."""
_HOUR_MS: Final = 3_600_000
_SETTLED_MS: Final = 5 * 60_000
"""How long what was set aside for an attempt is kept beside the attempt's own row."""
_LATE_MS: Final = 15 * 60_000
"""How long after its end an hour still takes rows that come late."""


class Chore(msgspec.Struct, frozen=True):
    """Statements for one transaction, to be performed again for as long as `more` finds anything but 0."""

    statements: tuple[str, ...]
    parameters: Mapping[str, int]
    more: str = "SELECT 0"
    """One value, asked after the transaction. A small rest waits for the next round: new rows would feed it on."""
    script: str = ""
    """In place of the statements, where it is there: with a transaction of its own."""
    deletes: bool = False
    """Whether what it deletes are rows that people would miss, and not work in hand."""


class Done(NamedTuple):
    """What came of one step of a chore: whether there is more of it, and how many rows it deleted."""

    more: bool
    deleted: int


_ADVANCE: Final = """
UPDATE rollup_mark SET last_id = min(last_id + :slice, (SELECT max(id) FROM {source}))
WHERE source = '{source}' AND last_id < (SELECT max(id) FROM {source})"""
_MORE_TO_COUNT: Final = (
    "SELECT (SELECT max(id) FROM {source}) - last_id >= :slice / 4 FROM rollup_mark WHERE source = '{source}'"
)

_SLICE_OF: Final = """
id > (SELECT last_id FROM rollup_mark WHERE source = '{source}')
AND id <= (SELECT last_id FROM rollup_mark WHERE source = '{source}') + :slice"""

_COUNT: Final = """
INSERT INTO evidence_hour (hour_ms, target, source, fault, n)
SELECT at_ms - at_ms % 3600000, target, '{source}', {fault}, count(*) FROM {source}
WHERE {slice} GROUP BY 1, 2, 4
ON CONFLICT DO UPDATE SET n = n + excluded.n"""

# What a caller's impatience or a rehearsal made of an attempt is not the target's doing.
_FAULT_OF: Final = {
    "attempt": """
CASE WHEN blame IN ('caller', 'ourselves') AND fault IN (SELECT fault FROM fault_kind WHERE counts) THEN 'cancelled'
ELSE coalesce(fault, '') END""",
    "probe": "coalesce(fault, '')",
}

_SKETCH: Final = """
INSERT INTO latency_sketch (hour_ms, target, measure, bucket, n)
SELECT at_ms - at_ms % 3600000, target, '{measure}',
  (SELECT bucket FROM latency_bucket WHERE up_to_ms >= {column} ORDER BY up_to_ms LIMIT 1) AS bucket, count(*)
FROM attempt WHERE {slice} AND fault IS NULL AND {column} IS NOT NULL GROUP BY 1, 2, 4
ON CONFLICT DO UPDATE SET n = n + excluded.n"""

# Without a workload are the calls that callers reported, and rows from before version 4: nobody is charged for them.
_SPEND: Final = """
INSERT INTO spend (
  quarter_ms, workload, team, user, target, purpose, n, unpriced, prompt_tokens, completion_tokens, usd)
SELECT at_ms - at_ms % 900000, workload, coalesce(team, ''), coalesce(user, ''), target, purpose,
  count(*), sum(cost_usd IS NULL), total(prompt_tokens), total(completion_tokens), total(cost_usd)
FROM attempt WHERE {slice} AND workload <> '' GROUP BY 1, 2, 3, 4, 5, 6
ON CONFLICT DO UPDATE SET n = n + excluded.n, unpriced = unpriced + excluded.unpriced,
  prompt_tokens = prompt_tokens + excluded.prompt_tokens,
  completion_tokens = completion_tokens + excluded.completion_tokens, usd = usd + excluded.usd"""

_SAVING: Final = """
INSERT INTO saving (quarter_ms, workload, team, n, usd, best_usd)
SELECT at_ms - at_ms % 900000, workload, coalesce(team, ''), count(*), total(cost_usd), total(best_usd)
FROM request WHERE {slice} AND best_usd IS NOT NULL AND cost_usd IS NOT NULL AND purpose = 'client' GROUP BY 1, 2, 3
ON CONFLICT DO UPDATE SET n = n + excluded.n, usd = usd + excluded.usd, best_usd = best_usd + excluded.best_usd"""

# An hour is closed once; what came later than that is in evidence_hour, and too late for the percentiles.
_CLOSE_HOURS: Final = (
    """
INSERT OR IGNORE INTO latency_hour (hour_ms, target, measure, n, p50_ms, p95_ms, p99_ms)
SELECT hour_ms, target, measure, n, p50_ms, p95_ms, p99_ms FROM _latency_open WHERE hour_ms < :open_ms""",
    "DELETE FROM latency_sketch WHERE hour_ms < :open_ms",
)

_DELETE: Final = (
    "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} AS old WHERE at_ms < :before_ms {spared} LIMIT :slice)"
)
_DELETE_DAYS: Final = (
    "DELETE FROM {table} WHERE {column} < :before_ms AND {column} < (SELECT min({column}) FROM {table}) + 2 * 86400000"
)
SHRINK: Final = Chore(
    (),
    {},
    "SELECT freelist_count > 0 AND auto_vacuum = 2 FROM pragma_freelist_count, pragma_auto_vacuum",
    script="BEGIN IMMEDIATE; PRAGMA incremental_vacuum(2048); COMMIT",
)
"""Gives 8 MiB of unused pages back. Only a script steps through that pragma, which does a page of its work a step."""
_FORGET: Final = Chore(("PRAGMA shrink_memory",), {})
"""Pages that are kept in memory are read again once a minute: else damage to them on the disk would go unnoticed."""
_COUNTED: Final = "AND id <= (SELECT last_id FROM rollup_mark WHERE source = '{source}')"
# A restart must not forget a standing or a drain, however long ago it was taken, nor whether the last run ended. An
# answer waits for its look however long that takes, and a verdict goes after its answer, which would wait again.
_SPARED: Final = {
    "attempt": _COUNTED.format(source="attempt"),
    "probe": _COUNTED.format(source="probe"),
    "request": _COUNTED.format(source="request"),
    "review": "AND EXISTS (SELECT 1 FROM verdict WHERE verdict.request_id = old.request_id)",
    "verdict": "AND NOT EXISTS (SELECT 1 FROM review WHERE review.request_id = old.request_id)",
    "run": "AND EXISTS (SELECT 1 FROM run AS newer WHERE newer.id > old.id)",
    "transition": """AND EXISTS (
      SELECT 1 FROM transition AS newer WHERE newer.target = old.target AND newer.id > old.id)""",
    "operation": """AND (old.verb NOT IN ('drain', 'resume') OR EXISTS (
      SELECT 1 FROM operation AS newer
      WHERE newer.target = old.target AND newer.verb IN ('drain', 'resume') AND newer.id > old.id))""",
}
# What was set aside for an attempt that has no row is perhaps spent: a restart books it, and gives it one.
_SETTLE: Final = """
DELETE FROM reservation WHERE (request_id, number) IN (
  SELECT request_id, number FROM reservation AS old WHERE at_ms < :before_ms AND (usd = 0.0 OR EXISTS (
    SELECT 1 FROM attempt WHERE attempt.request_id = old.request_id AND attempt.number = old.number)) LIMIT :slice)"""
_RAW: Final = (
    *("probe", "request", "attempt", "fallback", "transition", "operation", "alert"),
    *("comparison", "review", "verdict"),
)
_QUARTERS: Final = ("spend", "saving")
"""Kept for as long as budgets look back, whatever the policy says of roll-ups."""


def chores(policy: HistoryPolicy, now_ms: int) -> tuple[Chore, ...]:
    """Return one round of chores at Unix time `now_ms`, in order: roll-ups before the deletes that need them."""
    rows, decisions, rollups = (
        now_ms - round(keep * 1000) for keep in (policy.keep_rows, policy.keep_decisions, policy.keep_rollups)
    )
    open_ms = (now_ms - _LATE_MS) // _HOUR_MS * _HOUR_MS
    return (
        _FORGET,
        _rollup("attempt", (_count("attempt"), *_sketches(), _within(_SPEND, "attempt"))),
        _rollup("probe", (_count("probe"),)),
        _rollup("request", (_within(_SAVING, "request"),)),
        Chore(_CLOSE_HOURS, {"open_ms": open_ms}),
        _step(_SETTLE, max(rows, now_ms - _SETTLED_MS)),
        *(_delete(table, rows) for table in _RAW),
        _delete("decision", decisions),
        _delete("gap", rollups),
        _delete("run", rows),
        Chore(("DELETE FROM reservation WHERE at_ms < :before_ms",), {"before_ms": rollups}),
        *(_delete_rollups(table, "hour_ms", rollups) for table in ("evidence_hour", "latency_hour")),
        *(_delete_rollups(table, "quarter_ms", min(rollups, now_ms - KEPT_S * 1000)) for table in _QUARTERS),
    )


def _rollup(source: str, counting: tuple[str, ...]) -> Chore:
    statements = (*counting, _ADVANCE.format(source=source))
    return Chore(statements, {"slice": _SLICE}, _MORE_TO_COUNT.format(source=source))


def _within(statement: str, source: str) -> str:
    return statement.format(slice=_SLICE_OF.format(source=source))


def _count(source: str) -> str:
    return _COUNT.format(source=source, slice=_SLICE_OF.format(source=source), fault=_FAULT_OF[source])


def _sketches() -> tuple[str, ...]:
    within = _SLICE_OF.format(source="attempt")
    return tuple(
        _SKETCH.format(measure=measure, column=f"{measure}_ms", slice=within) for measure in ("latency", "first_byte")
    )


def _delete(table: str, before_ms: int) -> Chore:
    return _step(_DELETE.format(table=table, spared=_SPARED.get(table, "")), before_ms)


def _step(statement: str, before_ms: int) -> Chore:
    parameters = {"before_ms": before_ms, "slice": _DELETED}
    return Chore((statement,), parameters, "SELECT changes() >= :slice", deletes=True)


def _delete_rollups(table: str, column: str, before_ms: int) -> Chore:
    """Delete a few days at a time: a daemon that was away for long has a year of them to delete."""
    statement = _DELETE_DAYS.format(table=table, column=column)
    return Chore((statement,), {"before_ms": before_ms}, "SELECT changes() > 0", deletes=True)
