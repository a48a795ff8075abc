"""The limits that a configuration sets, and whom each concerns."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal

import msgspec

from state.history.charges import Charged

__all__ = ["BudgetPolicy", "LimitPolicy", "Limits", "Period", "subject_of"]


class Period(StrEnum):
    """How often a limit in dollars starts anew."""

    DAY = "day"
    MONTH = "month"


class LimitPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[limits.NAME]`: how much, and whose requests count together."""

    per: Literal["user", "team", "workload", "all"] = "all"
    """Whose requests are counted apart: those of each user, team or workload, or all together."""
    users: tuple[str, ...] = ()
    """Whom it concerns; nothing for everybody, and so for teams and workloads."""
    teams: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    usd_per_day: float | None = None
    usd_per_month: float | None = None
    enforce: Literal["hard", "soft"] = "hard"
    """`hard` refuses what is over it; `soft` only warns, or turns to what is cheaper."""
    warn_at: float = 0.8
    """The share of a limit in dollars at which a warning begins."""
    on_soft: Literal["warn", "cheaper"] = "warn"
    """What a warning does: it is told, or the request goes to the cheapest target besides."""
    shadow: bool = False
    """Whether it only records what it would have done."""

    @property
    def budgets(self) -> tuple[tuple[Period, float], ...]:
        """The limits in dollars."""
        both = ((Period.DAY, self.usd_per_day), (Period.MONTH, self.usd_per_month))
        return tuple((period, usd) for period, usd in both if usd is not None)

    @property
    def binds(self) -> bool:
        """Whether what is over it is refused."""
        return self.enforce == "hard" and not self.shadow

    def concerns(self, charged: Charged) -> bool:
        """Return whether requests that are charged so count."""
        whom = ((self.users, charged.user), (self.teams, charged.team), (self.workloads, charged.workload))
        return all(not names or name in names for names, name in whom)


class BudgetPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[budgets]`: what all limits in dollars have in common."""

    timezone: str = "UTC"
    """In which days and months end, as in the IANA database."""
    assume_output_tokens: int = 4096
    """How long an answer may be that states no limit, when money is set aside for it."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """All limits of one configuration."""

    by_name: Mapping[str, LimitPolicy] = msgspec.field(default_factory=dict)
    budgets: BudgetPolicy = BudgetPolicy()


_SUBJECTS: Final = {"user": "user", "team": "team", "workload": "workload"}


def subject_of(policy: LimitPolicy, charged: Charged) -> str:
    """Return whose account the request goes to: a user's, a team's, a workload's, or `` where all share it."""
    field = _SUBJECTS.get(policy.per)
    return "" if field is None else str(getattr(charged, field))
