"""What the registry publishes of each target: the frozen picture that everyone else chooses by."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from state.faults import Fault
from state.latency.estimator import NEWCOMER, Estimator
from state.latency.forecast import Forecast
from state.latency.lengths import Lengths
from state.latency.reliability import Reliability
from state.pages import PageReport
from state.quota import Quota
from state.targets import TargetName

__all__ = ["HealthSnapshot", "Standing", "TargetHealth"]


class Standing(StrEnum):
    """A target's health. Circuit breakers call healthy closed, cooling open and probation half-open."""

    UNPROVEN = "unproven"
    HEALTHY = "healthy"
    COOLING = "cooling"
    PROBATION = "probation"


class TargetHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one target now. Times are seconds on the loop's monotonic clock."""

    target: TargetName
    standing: Standing = Standing.UNPROVEN
    since: float = 0.0
    """When it took its standing."""
    until: float | None = None
    """When its cooldown ends, while it is cooling."""
    cause: str = ""
    """Why it has its standing, in one line."""
    drained: bool = False
    drained_until: float | None = None
    """When the drain ends by itself, None where only `resume` ends it."""
    drain_reason: str = ""
    blocked_until: float | None = None
    """Until when its provider rate-limits it (or its quota is spent)."""
    blocked_by: Fault | None = None
    unsure: bool = False
    """Whether its last block was a guess: one request at a time then finds out whether it is over."""
    quota: Quota | None = None
    """What its provider told of its limits, None where it told nothing."""
    refused_until: float | None = None
    """Until when asking is of no use: its key or its model's name is refused."""
    refused_by: Fault | None = None
    fell_on: Fault | None = None
    """The fault that ejected it last, None where that is not known."""
    expected_s: float | None = None
    """Expected latency in seconds, None where nothing is known."""
    p50_s: float | None = None
    p95_s: float | None = None
    samples: int = 0
    """How many requests the latency window holds."""
    success_ratio: float | None = None
    """Share of the window's outcomes that succeeded, None where the window is empty."""
    last_fault: Fault | None = None
    last_fault_at: float | None = None
    estimator: Estimator = NEWCOMER
    forecast: Forecast | None = None
    """What the estimator says, computed once; None to have it computed at each choice, or where it is not asked."""
    reliability: Reliability = Reliability()
    mean_s: float | None = None
    """The plain average that stands for the estimator where the configuration wants it so."""
    limit: int | None = None
    """How many requests it may have at once while it returns, or after it was overloaded; None for no own limit."""
    trial_from: float | None = None
    """On probation: from when a request is tried though no canary has vouched for it; None where one has."""
    check_at: float | None = None
    """While it is cooling: from when a canary may find that it is well again."""
    seen_at: float | None = None
    """When anything was last observed that speaks of its latency."""
    clear: bool = False
    """Whether nothing at all stands in the way of a request: said once, so that a choice need not look again."""
    answered_from: float = float("-inf")
    """When the newest request was sent that has had a first token since."""
    page: PageReport | None = None
    """What its provider's status page says, None where nobody reads one."""
    heard: tuple[float, ...] = ()
    """When its newest own outcomes came, oldest first; only told where they weigh against a page."""

    @property
    def ready(self) -> bool:
        """Whether its standing admits requests and no operator has drained it."""
        return self.standing is not Standing.COOLING and not self.drained


class HealthSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Every target's health at one moment; `revision` grows by one with each publication."""

    revision: int = 0
    at: float = 0.0
    targets: Mapping[TargetName, TargetHealth] = msgspec.field(default_factory=dict)
    lengths: Mapping[str, Lengths] = msgspec.field(default_factory=dict)
    """How long the answers of each workload are."""
