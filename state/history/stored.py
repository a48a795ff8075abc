"""Single values as a STRICT table takes them, and the rows about money and care.

What comes from outside is bent into what SQLite takes, so that nobody can write a row that the file refuses.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias, assert_never

from state.history.charges import (
    BudgetRow,
    Charged,
    ChargeRow,
    ComparisonRow,
    ReservationRow,
    ReviewRow,
    VerdictRow,
)

__all__ = ["Values", "charge_values", "charged_values", "count", "ms", "text", "unix_ms", "unix_ms_or_none"]

Values: TypeAlias = tuple[str | int | float | bytes | None, ...]
_INT64: Final = 2**63
_FARTHEST_MS: Final = math.nextafter(_INT64, 0.0)


def charged_values(charged: Charged) -> Values:
    """Return workload, team, user and purpose; nobody in particular is NULL."""
    team, user = text(charged.team) or None, text(charged.user) or None
    return text(charged.workload), team, user, charged.purpose


def charge_values(row: ChargeRow) -> tuple[str, Values]:
    """Return the table of `row` and its values after the first, which is its time."""
    match row:
        case ReservationRow():
            return "reservation", (text(row.request_id), row.number, row.target, *charged_values(row.charged), row.usd)
        case BudgetRow():
            period = (row.period, unix_ms(row.from_unix, 0.0), unix_ms(row.to_unix, 0.0))
            return "budget", (row.name, text(row.subject), *period, row.limit_usd, row.spent_usd, row.reserved_usd)
        case ComparisonRow():
            return "comparison", _comparison(row)
        case ReviewRow():
            workload, team, user, _ = charged_values(row.charged)
            return "review", (text(row.request_id), workload, row.target, team, user, row.sha256)
        case VerdictRow():
            return "verdict", (text(row.request_id), row.verdict, text(row.by), text(row.reason))
        case _:
            assert_never(row)


def _comparison(row: ComparisonRow) -> Values:
    return (
        text(row.request_id),
        text(row.shadow_request_id),
        text(row.workload),
        row.target,
        row.shadow_target,
        row.outcome,
        row.shadow_outcome,
        ms(row.latency_s),
        ms(row.shadow_latency_s),
        row.cost_usd,
        row.shadow_cost_usd,
        count(row.length),
        count(row.shadow_length),
        row.refused if row.refused is None else int(row.refused),
        row.shadow_refused if row.shadow_refused is None else int(row.shadow_refused),
    )


def unix_ms(at: float, offset_s: float) -> int:
    """Return Unix milliseconds, at most what 64 bits hold, and 0 for what is no time."""
    unix_ms = (at + offset_s) * 1000
    if math.isnan(unix_ms):
        return 0
    return round(max(-_FARTHEST_MS, min(_FARTHEST_MS, unix_ms)))


def unix_ms_or_none(at: float | None, offset_s: float) -> int | None:
    """Return Unix milliseconds, None for what is no time that ends."""
    return None if at is None or not math.isfinite(at) else unix_ms(at, offset_s)


def ms(seconds: float | None) -> float | None:
    """Return milliseconds to the microsecond, None for what is no length of time."""
    return None if seconds is None or not 0.0 <= seconds < math.inf else round(seconds * 1000, 3)


def count(number: int | None) -> int | None:
    """Return a number of things, None for what is none or beyond 64 bits."""
    return None if number is None or not 0 <= number < _INT64 else number


def text(said: str) -> str:
    """Return text that a file can hold: lone surrogates are replaced."""
    return said if said.isascii() else said.encode("utf-8", "replace").decode("utf-8")
