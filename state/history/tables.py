"""From a row as the actors know it to a row as SQLite stores it: seconds become milliseconds, and text becomes sound.

What comes from outside is bent into what a STRICT table takes (a lone surrogate, a number beyond 64 bits, a latency
that is no number), so that no client and no provider can write a row that the file refuses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias, assert_never

import msgspec

from state.faults import Fault
from state.history.charges import (
    CHARGE_COLUMNS,
    BudgetRow,
    ChargeRow,
    ComparisonRow,
    ReservationRow,
    ReviewRow,
    VerdictRow,
)
from state.history.rows import (
    AlertRow,
    AttemptRow,
    DecisionRow,
    EstimateRow,
    FallbackRow,
    OperationRow,
    ProbeRow,
    RequestRow,
    TransitionRow,
)
from state.history.stored import Values, charge_values, charged_values, count, ms, text, unix_ms, unix_ms_or_none
from state.latency.forecast import forecast_of
from state.outcome import Outcome, Usage

__all__ = ["INSERTS", "Gap", "Inserts", "Row", "SampledDecision", "Values", "inserts_of", "outcome_word"]


class SampledDecision(msgspec.Struct, frozen=True):
    """A choice that is recorded, and how many choices it stands for, itself included."""

    row: DecisionRow
    sampled_of: int

    @property
    def at(self) -> float:
        """When the choice was made."""
        return self.row.at


class Gap(msgspec.Struct, frozen=True):
    """A stretch of time of which rows are missing. Times are seconds on the monotonic clock."""

    at: float
    """When it is written down."""
    first_at: float
    last_at: float
    count: int
    cause: str


Row: TypeAlias = (
    ProbeRow
    | RequestRow
    | AttemptRow
    | SampledDecision
    | FallbackRow
    | TransitionRow
    | OperationRow
    | AlertRow
    | EstimateRow
    | ChargeRow
    | Gap
)
Inserts: TypeAlias = dict[str, list[Values]]
"""Values to insert, by the name of their table."""

_COLUMNS: Final = {
    "probe": "at_ms, target, kind, outcome, fault, status, reason, first_byte_ms, latency_ms, retry_after_ms, cost_usd",
    "request": "at_ms, request_id, workload, primary_target, served_by, attempts, outcome, fault, status, degraded, "
    "streamed, first_byte_ms, latency_ms, prompt_tokens, completion_tokens, cost_usd, team, user, "
    "client_retry, purpose, label, cached_tokens, best_usd",
    "attempt": "at_ms, request_id, number, target, outcome, fault, status, reason, streamed, first_byte_ms, "
    "latency_ms, retry_after_ms, blame, hedge, workload, team, user, purpose, prompt_tokens, completion_tokens, "
    "cached_tokens, cache_write_tokens, cost_usd, cost_estimated",
    "decision": "at_ms, request_id, number, chosen, strategy, reason, candidates, seed, setting, code, sampled_of",
    "fallback": "at_ms, request_id, workload, from_target, to_target, fault, status, reason, after_ms, cost_usd",
    "transition": "at_ms, target, before, after, cause, until_ms, ejections",
    "operation": "at_ms, verb, target, by, reason, until_ms",
    "alert": "at_ms, kind, workload, target, message",
    "estimate": "at_ms, target, first_ms, tokens_per_second, belief",
    "gap": "at_ms, from_ms, to_ms, count, cause",
    **CHARGE_COLUMNS,
}
_REPLACED: Final = {"estimate", "budget", "reservation"}
"""Tables that keep only the newest row of each key."""
INSERTS: Final = {
    table: f"INSERT OR {'REPLACE' if table in _REPLACED else 'IGNORE'} INTO {table} ({columns}) "  # noqa: S608 - ours
    f"VALUES (?{', ?' * columns.count(',')})"
    for table, columns in _COLUMNS.items()
}
"""One statement per table. `OR IGNORE`: one row that the schema refuses must not hold up all others; it is counted."""

_INT64: Final = 2**63


def outcome_word(outcome: Outcome) -> str:
    """Return how an attempt or probe ended: `ok`, `failed`, `cut` or `cancelled`."""
    match outcome.fault:
        case None:
            return "ok"
        case Fault.CUT | Fault.CANCELLED as fault:
            return fault.value
        case _:
            return "failed"


def inserts_of(rows: Iterable[Row], offset_s: float) -> Inserts:
    """Return what to insert for `rows`; `offset_s` added to their times gives Unix seconds."""
    inserts: Inserts = {}
    for row in rows:
        table, values = _stored(row, offset_s)
        inserts.setdefault(table, []).append(values)
    return inserts


def _stored(row: Row, offset_s: float) -> tuple[str, Values]:  # noqa: C901, PLR0911 - one return per table
    at_ms = unix_ms(row.at, offset_s)
    match row:
        case AttemptRow():
            return "attempt", (at_ms, *_attempt(row))
        case RequestRow():
            return "request", (at_ms, *_request(row))
        case SampledDecision():
            return "decision", (at_ms, *_decision(row.row), row.sampled_of)
        case ProbeRow():
            return "probe", (at_ms, *_probe(row))
        case FallbackRow():
            return "fallback", (at_ms, *_fallback(row))
        case TransitionRow():
            until_ms = unix_ms_or_none(row.until, offset_s)
            cause = text(row.cause)
            return "transition", (at_ms, row.target, row.before.value, row.after.value, cause, until_ms, row.ejections)
        case OperationRow():
            until_ms = unix_ms_or_none(row.until, offset_s)
            return "operation", (at_ms, row.verb, row.target, text(row.by), text(row.reason), until_ms)
        case AlertRow():
            return "alert", (at_ms, row.kind, row.workload and text(row.workload), row.target, text(row.message))
        case EstimateRow():
            return "estimate", (at_ms, row.target, *_estimate(row))
        case ReservationRow() | BudgetRow() | ComparisonRow() | ReviewRow() | VerdictRow():
            table, values = charge_values(row)
            return table, (at_ms, *values)
        case Gap():
            first_ms, last_ms = unix_ms(row.first_at, offset_s), unix_ms(row.last_at, offset_s)
            return "gap", (at_ms, first_ms, last_ms, row.count, text(row.cause))
        case _:
            assert_never(row)


def _attempt(row: AttemptRow) -> Values:
    outcome = row.outcome
    return (
        text(row.request_id),
        row.number,
        row.target,
        outcome_word(outcome),
        outcome.fault and outcome.fault.value,
        outcome.status,
        text(outcome.reason),
        int(outcome.streamed),
        ms(outcome.first_byte_s),
        ms(outcome.latency_s) or 0.0,
        ms(outcome.retry_after_s),
        outcome.blame and outcome.blame.value,
        int(row.hedge),
        *charged_values(row.charged),
        *_tokens(outcome.usage),
        row.cost_usd,
        int(row.cost_estimated),
    )


def _tokens(usage: Usage) -> Values:
    written = (usage.cache_write_tokens or 0) + (usage.cache_write_1h_tokens or 0)
    return (
        count(usage.prompt_tokens),
        count(usage.completion_tokens),
        count(usage.cached_tokens),
        count(written or usage.cache_write_tokens),
    )


def _probe(row: ProbeRow) -> Values:
    outcome = row.outcome
    return (
        row.target,
        row.kind.value,
        outcome_word(outcome),
        outcome.fault and outcome.fault.value,
        outcome.status,
        text(outcome.reason),
        ms(outcome.first_byte_s),
        ms(outcome.latency_s) or 0.0,
        ms(outcome.retry_after_s),
        row.cost_usd,
    )


def _request(row: RequestRow) -> Values:
    return (
        text(row.request_id),
        text(row.workload),
        row.primary_target,
        row.served_by,
        row.attempts,
        row.outcome,
        row.fault and row.fault.value,
        row.status,
        row.degraded,
        int(row.streamed),
        ms(row.first_byte_s),
        ms(row.latency_s) or 0.0,
        count(row.usage.prompt_tokens),
        count(row.usage.completion_tokens),
        row.cost_usd,
        row.team and text(row.team),
        row.user and text(row.user),
        count(row.client_retry),
        row.purpose,
        row.label and text(row.label),
        count(row.usage.cached_tokens),
        row.best_usd,
    )


def _decision(row: DecisionRow) -> Values:
    candidates = row.candidates.decode("utf-8", "replace")
    seed = (row.seed + _INT64) % (2 * _INT64) - _INT64
    setting = row.setting.packed() if row.setting is not None else None
    choice = (row.number, row.chosen, row.strategy, text(row.reason), candidates, seed)
    return (text(row.request_id), *choice, setting, row.code)


def _estimate(row: EstimateRow) -> Values:
    forecast = forecast_of(row.belief.estimator)
    return ms(forecast.first_s), round(1.0 / forecast.token_s, 3), row.belief.as_json()


def _fallback(row: FallbackRow) -> Values:
    return (
        text(row.request_id),
        text(row.workload),
        row.from_target,
        row.to_target,
        row.fault and row.fault.value,
        row.status,
        text(row.reason),
        ms(row.after_s) or 0.0,
        row.cost_usd,
    )
