"""What a limit says: how much, for whom, and what happens beyond it."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from state.history.charges import Charged

__all__ = ["BudgetPolicy", "LimitPolicy", "Per"]


class Per(StrEnum):
    """What a limit counts apart."""

    USER = "user"
    TEAM = "team"
    WORKLOAD = "workload"
    ALL = "all"
    """Nothing: everyone whom it concerns shares it."""


class LimitPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[limits.NAME]`: bounds for some callers; every bound that is left out is none."""

    per: Per = Per.ALL
    users: tuple[str, ...] = ()
    """Whom it concerns; empty means everyone. The same for `teams` and `workloads`; all three must hold."""
    teams: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    """A minute's worth may come at once; after that, one as soon as its share of a minute is over."""
    tokens_per_minute: int | None = None
    """Of input and output: the input is estimated before, and all is settled by the providers' counts after."""
    concurrent: int | None = None
    """Requests under way at once."""
    usd_per_day: float | None = None
    usd_per_month: float | None = None
    """Calendar days and months, in the time zone of `[budgets]`."""
    enforce: Literal["hard", "soft"] = "hard"
    """`hard` refuses what is beyond the limit; `soft` lets it pass and does what `on_soft` says."""
    warn_at: float = 0.8
    """The share of a limit in dollars from which on `on_soft` holds, of a hard one too."""
    on_soft: Literal["warn", "cheaper"] = "warn"
    """`cheaper` sends requests to the cheapest target besides warning."""
    shadow: bool = False
    """Whether what it would have done is only written down."""

    @property
    def refuses(self) -> bool:
        """Whether it refuses what is beyond it."""
        return self.enforce == "hard" and not self.shadow

    @property
    def saves(self) -> bool:
        """Whether requests go to the cheapest target once its money is short."""
        return self.on_soft == "cheaper" and not self.shadow

    @property
    def counts(self) -> bool:
        """Whether it counts requests or tokens, and not money alone."""
        return (self.requests_per_minute, self.tokens_per_minute, self.concurrent) != (None, None, None)

    def concerns(self, charged: Charged) -> bool:
        """Return whether it is a limit of those who pay for a request."""
        return (
            (not self.workloads or charged.workload in self.workloads)
            and (not self.teams or charged.team in self.teams)
            and (not self.users or charged.user in self.users)
        )

    def subject_of(self, charged: Charged) -> str:
        """Return what a request is counted with: its user, team or workload; empty where all are one."""
        return "" if self.per is Per.ALL else str(getattr(charged, self.per.value))


class BudgetPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[budgets]`: what holds for all limits in dollars."""

    timezone: str = "UTC"
    """Where days and months begin: a name of the IANA time zone database, such as `Europe/Berlin`."""
    assume_output_tokens: int = 4096
    """How long an answer is taken to be at most where the request sets no limit to it."""
