"""What is worth an alert: counts of the last minutes for each workload, and the refusals of each target's key.

It is told of every request on the request's own turn, so it keeps a few numbers in buckets of time and no rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from daemon.alerts.policy import AlertPolicy
from state.faults import ENTITLEMENT, Fault
from state.targets import TargetName, provider_of

__all__ = ["Alert", "AlertKind", "Answered", "Recent", "Watch"]

_BUCKETS: Final = 10
_OF_THE_ACCOUNT: Final = frozenset({Fault.AUTH, Fault.QUOTA})
"""What concerns every target that the provider's key pays for; the others concern one model."""


class AlertKind(StrEnum):
    """What an alert is about."""

    TOTAL_FAILURE = "total_failure"
    FALLBACK_RATE = "fallback_rate"
    CREDENTIAL = "credential"
    BUDGET = "budget"


class Answered(StrEnum):
    """How a request ended for its client."""

    WELL = "well"
    BY_FALLBACK = "by_fallback"
    DEGRADED = "degraded"
    """By a text in place of an answer, in the error or not."""
    FAILED = "failed"
    """No target answered."""
    CUT = "cut"
    """By a stream that broke after content."""
    OTHERWISE = "otherwise"
    """The caller left, or its request was refused for what it is: nobody else's affair."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell."""

    at: float
    """Monotonic seconds."""
    kind: AlertKind
    workload: str | None = None
    target: TargetName | None = None
    message: str
    held_back: int = 0
    """How many of the same were not told since the last one."""

    subject: str
    """The workload, the target or the provider that it is about."""

    @property
    def key(self) -> tuple[AlertKind, str]:
        """What it has in common with those that are the same alert."""
        return (self.kind, self.subject)


class Recent(msgspec.Struct):
    """How the requests of one workload ended lately."""

    requests: int = 0
    fallbacks: int = 0
    degraded: int = 0
    failed: int = 0
    cut: int = 0

    @property
    def share(self) -> float:
        """The share that no primary path answered in full."""
        return (self.fallbacks + self.degraded + self.failed + self.cut) / max(1, self.requests)


class Watch:
    """Counts, and says what is worth an alert. Times are monotonic seconds."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._counts: dict[str, dict[int, Recent]] = {}
        self._window: float = 0.0
        self._told: dict[tuple[AlertKind, str], tuple[float, int]] = {}

    def ended(self, workload: str, answered: Answered, policy: AlertPolicy, now: float) -> tuple[Alert, ...]:
        """Take in the end of a request; return what is to be told now."""
        if answered is Answered.OTHERWISE:
            return ()
        self._count(workload, answered, policy, now)
        if answered is Answered.WELL:
            return ()
        alerts = []
        if answered in {Answered.FAILED, Answered.DEGRADED}:
            message = f"no target of the workload {workload} answered"
            alerts.append(_about(workload, AlertKind.TOTAL_FAILURE, message, now))
        recent = self.recent(policy, now)[workload]
        if recent.requests >= policy.min_requests and recent.share > policy.fallback_rate:
            message = (
                f"{recent.share:.0%} of the last {recent.requests} requests of the workload {workload} "
                "were not answered in full by its primary path"
            )
            alerts.append(_about(workload, AlertKind.FALLBACK_RATE, message, now))
        return self._due(alerts, policy, now)

    def faulted(self, target: TargetName, fault: Fault, policy: AlertPolicy, now: float) -> tuple[Alert, ...]:
        """Take in a fault of a target; return what is to be told of its key."""
        alert = _of_a_key(target, fault, now)
        return () if alert is None else self._due([alert], policy, now)

    def seen(self, target: TargetName, fault: Fault, policy: AlertPolicy, now: float) -> tuple[Alert, ...]:
        """Take in that a target still stands refused; return what is to be told of its key, and count nothing."""
        alert = _of_a_key(target, fault, now)
        return () if alert is None or not self._rested(alert, policy, now) else self._due([alert], policy, now)

    def spent(self, account: str, message: str, policy: AlertPolicy, now: float) -> tuple[Alert, ...]:
        """Take in that a limit in dollars is used up, or nearly; return what is to be told of it now."""
        return self._due([Alert(at=now, kind=AlertKind.BUDGET, message=message, subject=account)], policy, now)

    def recent(self, policy: AlertPolicy, now: float) -> Mapping[str, Recent]:
        """Return how the requests of each workload ended within the policy's window."""
        newest = self._bucket(policy, now)
        totals: dict[str, Recent] = {}
        for workload, buckets in self._counts.items():
            total = totals[workload] = Recent()
            for number, counted in buckets.items():
                if newest - _BUCKETS < number <= newest:
                    total.requests += counted.requests
                    total.fallbacks += counted.fallbacks
                    total.degraded += counted.degraded
                    total.failed += counted.failed
                    total.cut += counted.cut
        return totals

    def _count(self, workload: str, answered: Answered, policy: AlertPolicy, now: float) -> None:
        number = self._bucket(policy, now)
        buckets = self._counts.setdefault(workload, {})
        counted = buckets.get(number)
        if counted is None:
            for old in [each for each in buckets if each <= number - _BUCKETS]:
                del buckets[old]
            counted = buckets[number] = Recent()
        counted.requests += 1
        counted.fallbacks += answered is Answered.BY_FALLBACK
        counted.degraded += answered is Answered.DEGRADED
        counted.failed += answered is Answered.FAILED
        counted.cut += answered is Answered.CUT

    def _bucket(self, policy: AlertPolicy, now: float) -> int:
        """Return the number of the bucket of `now`; numbers of another window's unit mean nothing, and are dropped."""
        if policy.window != self._window:
            self._counts.clear()
            self._window = policy.window
        return int(now * _BUCKETS / policy.window)

    def _due(self, alerts: list[Alert], policy: AlertPolicy, now: float) -> tuple[Alert, ...]:
        due = []
        for alert in alerts:
            told_at, held_back = self._told.get(alert.key, (now, 0))
            if self._rested(alert, policy, now):
                due.append(msgspec.structs.replace(alert, held_back=held_back))
                self._told[alert.key] = (now, 0)
            else:
                self._told[alert.key] = (told_at, held_back + 1)
        return tuple(due)

    def _rested(self, alert: Alert, policy: AlertPolicy, now: float) -> bool:
        """Return whether the same was not told within `every`."""
        return now - self._told.get(alert.key, (-math.inf, 0))[0] >= policy.every


def _about(workload: str, kind: AlertKind, message: str, now: float) -> Alert:
    return Alert(at=now, kind=kind, workload=workload, message=message, subject=workload)


def _of_a_key(target: TargetName, fault: Fault, now: float) -> Alert | None:
    """Return the alert on what a target's fault says of its key, or of what the key is allowed; None where nothing."""
    if fault not in ENTITLEMENT and fault is not Fault.QUOTA:
        return None
    what = {Fault.QUOTA: "has spent its quota", Fault.MODEL_NOT_FOUND: "does not know its model"}
    message = f"{target} {what.get(fault, f'refuses its key ({fault.value})')}: check the provider's account"
    subject = provider_of(target) if fault in _OF_THE_ACCOUNT else target
    return Alert(at=now, kind=AlertKind.CREDENTIAL, target=target, message=message, subject=subject)
