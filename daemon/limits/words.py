"""What is said of limits: refusals, notices, and how they stand. Pure.

Money is counted in whole billionths of a dollar, so that what is set aside and given back leaves nothing behind.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final

import msgspec

from daemon.limits.calendar import Window
from daemon.limits.policy import LimitPolicy, Per
from state.targets import TargetName, split_target

__all__ = [
    "SOON_S",
    "Balance",
    "Holder",
    "LimitKind",
    "Notice",
    "Refused",
    "billionths",
    "dollars",
    "dollars_of",
    "unpriced",
    "waiting",
]

SOON_S: Final = 1.0
"""When to ask again where only requests under way stand in the way: nobody knows when they end."""
_BILLION: Final = 1_000_000_000
_SMALL: Final = _BILLION // 10


class LimitKind(StrEnum):
    """Which bound of a limit: the key that sets it."""

    REQUESTS = "requests_per_minute"
    TOKENS = "tokens_per_minute"
    CONCURRENT = "concurrent"
    USD_PER_DAY = "usd_per_day"
    USD_PER_MONTH = "usd_per_month"

    @property
    def is_money(self) -> bool:
        """Whether it bounds dollars."""
        return self in {LimitKind.USD_PER_DAY, LimitKind.USD_PER_MONTH}


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """What a limit says no to, or would."""

    limit: str
    kind: LimitKind
    subject: str
    """Whose limit it is: a user, a team, a workload; empty where all share it, and for callers without a name."""
    message: str
    """Which limit, and when it frees."""
    retry_after_s: float | None = None
    """Seconds until it frees; None where nobody knows, and where waiting does not help."""
    fresh: bool = False
    """Whether it is the first by a budget in its day or month: what operators are told of."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What is told while a request goes on."""

    limit: str
    kind: LimitKind
    subject: str
    message: str
    fresh: bool = False
    """Whether it is the first of its day or month: what operators are told of."""
    shadowed: bool = False
    """Whether it is only what a limit in the shadow would have done."""


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """How one bound of a limit stands for one subject. Money is in dollars."""

    limit: str
    subject: str
    kind: LimitKind
    bound: float
    used: float
    reserved: float = 0.0
    """Set aside for attempts under way, besides what is used."""
    refused: int = 0
    """How often it refused, or would have, since the process started."""
    unpriced: int = 0
    """Attempts of the period whose cost nobody knows; they are not in `used`."""
    window: Window | None = None
    """For money."""
    policy: LimitPolicy


class Holder(msgspec.Struct, frozen=True):
    """Whose limit it is, for its words."""

    limit: str
    per: Per
    subject: str

    @property
    def label(self) -> str:
        """Such as ` for team ml`, and nothing where all share the limit."""
        if self.per is Per.ALL:
            return ""
        return f" for {self.per.value} {self.subject}" if self.subject else f" for callers without a {self.per.value}"

    def refused(self, kind: LimitKind, text: str, retry_after_s: float | None = None) -> Refused:
        """Return a refusal whose message begins with the limit's name."""
        wait = None if retry_after_s is None or math.isinf(retry_after_s) else retry_after_s
        message = f"limits.{self.limit}: {text}"
        return Refused(limit=self.limit, kind=kind, subject=self.subject, message=message, retry_after_s=wait)


def billionths(usd: float) -> int:
    """Return dollars as billionths of one, rounded up: what is set aside is never less than what is asked for."""
    return math.ceil(round(usd * _BILLION, 3))


def dollars_of(amount: int) -> float:
    """Return billionths of a dollar as dollars."""
    return amount / _BILLION


def dollars(amount: int) -> str:
    """Return billionths of a dollar in words: to the cent, and small amounts to the millionth."""
    if amount == 0 or abs(amount) >= _SMALL:
        return f"{amount / _BILLION:.2f}"
    whole, _, part = f"{amount / _BILLION:.6f}".rstrip("0").partition(".")
    return f"{whole}.{part:0<2}"


def waiting(seconds: float) -> str:
    """Return how long it takes until something frees, in words."""
    return f"it frees in {seconds:.1f} s" if seconds < SOON_S else f"it frees in {math.ceil(seconds)} s"


def unpriced(target: TargetName) -> str:
    """Return why an attempt at `target` cannot be paid from a budget, and what to do."""
    provider, model = split_target(target)
    return (
        f"cannot be kept at {target}, whose price is unknown; give it one in the configuration, such as "
        f'[providers.{provider}.prices] "{model}" = {{ input = 1.0, output = 4.0 }}'
    )
