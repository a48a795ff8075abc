"""Rows about money and care: what was set aside, how budgets stand, answers only compared, answers to be looked at.

Times are seconds on the loop's monotonic clock, unless their names say otherwise.
"""

from __future__ import annotations

from typing import Final

import msgspec

from state.targets import TargetName

__all__ = [
    "CHARGE_COLUMNS",
    "BudgetRow",
    "ChargeRow",
    "Charged",
    "ComparisonRow",
    "ReservationRow",
    "ReviewRow",
    "VerdictRow",
]


class Charged(msgspec.Struct, frozen=True):
    """Who pays, and for what: the same for all attempts of a request."""

    workload: str = ""
    team: str = ""
    user: str = ""
    purpose: str = "client"
    """`client`, `shadow` (a copy that is only compared) or `classify` (fairlead's own question)."""


class ReservationRow(msgspec.Struct, frozen=True, kw_only=True):
    """Money set aside for an attempt before it is made."""

    at: float
    request_id: str
    number: int
    """Which attempt of the request, from 1."""
    target: TargetName
    charged: Charged
    usd: float


class BudgetRow(msgspec.Struct, frozen=True, kw_only=True):
    """How a limit in dollars stands; the newest replaces the one before."""

    at: float
    name: str
    subject: str
    period: str
    """`day` or `month`."""
    from_unix: float
    to_unix: float
    """Unix seconds."""
    limit_usd: float
    spent_usd: float
    reserved_usd: float


class ComparisonRow(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its copy at another target. Lengths are characters of text; latencies seconds."""

    at: float
    request_id: str
    shadow_request_id: str
    workload: str
    target: TargetName | None
    shadow_target: TargetName
    outcome: str
    shadow_outcome: str
    latency_s: float | None = None
    shadow_latency_s: float | None = None
    cost_usd: float | None = None
    shadow_cost_usd: float | None = None
    length: int | None = None
    shadow_length: int | None = None
    refused: bool | None = None
    shadow_refused: bool | None = None


class ReviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that a person is to look at."""

    at: float
    request_id: str
    target: TargetName | None
    charged: Charged
    sha256: str
    """Of its body as it was sent, in hex."""


class VerdictRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at it came to."""

    at: float
    request_id: str
    verdict: str
    """`approved` or `rejected`."""
    by: str
    reason: str = ""


ChargeRow = ReservationRow | BudgetRow | ComparisonRow | ReviewRow | VerdictRow

CHARGE_COLUMNS: Final = {
    "reservation": "at_ms, request_id, number, target, workload, team, user, purpose, usd",
    "budget": "at_ms, name, subject, period, from_ms, to_ms, limit_usd, spent_usd, reserved_usd",
    "comparison": "at_ms, request_id, shadow_request_id, workload, target, shadow_target, outcome, shadow_outcome, "
    "latency_ms, shadow_latency_ms, cost_usd, shadow_cost_usd, length, shadow_length, refused, shadow_refused",
    "review": "at_ms, request_id, workload, target, team, user, sha256",
    "verdict": "at_ms, request_id, verdict, by, reason",
}
"""The columns of their tables, in the order in which `state.history.tables` fills them."""
