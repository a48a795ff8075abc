"""Which canary pays now: those that cost money are sent where their answer may change a choice, and only there.

Passive evidence is free and comes first. A canary is worth its tokens for a target that nobody has tried, for one
whose cooldown may end early, for one whose last answer was an outlier, for one that was the best and may be again, and,
now and then, for one that is idle; and for none of them while there are no requests that could profit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from probes.policy import ProbePolicy, ProbeSetting
from state.latency.lengths import Lengths
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName, provider_of

__all__ = ["QUIET_S", "Canaries", "Sight", "Spent", "canary_due"]

QUIET_S: Final = 300.0
"""Without a request for so long nobody profits from a canary. Source of the constants: facts/routing.md, section 1."""
_FAVOURITE_S: Final = 10.0
_CONFIRM_S: Final = 1.0
_SETTLED: Final = 3
"""Observations after a change until a level is believed."""
_AGAIN_S: Final = 1.0
"""Between two canaries of one target, whatever speaks for them."""
_PER_S: Final = 0.5
_BURST: Final = 8.0
_DAY_S: Final = 86_400.0
_NOBODY: Final = Lengths()


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What the prober sees of the traffic, at one moment."""

    snapshot: HealthSnapshot
    in_flight: Mapping[TargetName, int]
    asked_at: float
    """When a request was last sent anywhere, monotonic seconds."""


class Spent(msgspec.Struct, frozen=True):
    """What one canary cost, in dollars, and when it was sent."""

    target: TargetName
    at: float
    usd: float


def canary_due(health: TargetHealth, sight: Sight, every_s: float, now: float) -> float:
    """Return from when a canary at a target pays, as things are; infinity for not at all."""
    if health.drained or _held_back(health, now):
        return math.inf
    if health.seen_at is None:
        return -math.inf if health.check_at is None else health.check_at
    if now - sight.asked_at > QUIET_S:
        return math.inf
    if health.standing is Standing.COOLING:
        return math.inf if health.check_at is None else health.check_at
    if health.trial_from is not None:
        return health.since
    return health.seen_at + _pause_s(health, sight, every_s)


def _held_back(health: TargetHealth, now: float) -> bool:
    """Return whether its provider refuses what is sent there now: a canary would be refused too."""
    return any(until is not None and until > now for until in (health.blocked_until, health.refused_until))


def _pause_s(health: TargetHealth, sight: Sight, every_s: float) -> float:
    """Return the seconds without evidence after which a target that may be chosen is looked at."""
    if sight.in_flight.get(health.target, 0):
        return math.inf
    first = health.estimator.first
    if first.run or health.reliability.run or (first.steady < _SETTLED and first.count > _SETTLED):
        return _CONFIRM_S
    return min(every_s, _FAVOURITE_S) if _may_be_best_again(health, sight) else every_s


class Canaries:
    """Canaries under way, and what was spent on them. Belongs to the prober, who alone calls it."""

    def __init__(self, spent: Iterable[Spent] = ()) -> None:
        """Start with nothing under way, and with what was `spent` before."""
        self._under_way: dict[TargetName, Spent] = {}
        self._sent_at: dict[TargetName, float] = {}
        self._spent = deque(sorted(spent, key=lambda each: each.at))
        self._allowance = _BURST
        self._counted_at = -math.inf

    def due(self, policies: Mapping[TargetName, ProbePolicy], sight: Sight, now: float) -> TargetName | None:
        """Return the target whose canary is due for the longest time, None where none is or may be sent."""
        self._allowance = min(_BURST, self._allowance + _PER_S * max(0.0, now - self._counted_at))
        self._counted_at = now
        if self._allowance < 1.0:
            return None
        best: tuple[float, TargetName] | None = None
        for target, policy in policies.items():
            health = sight.snapshot.targets.get(target)
            if policy.kind is not ProbeSetting.CANARY or health is None or target in self._under_way:
                continue
            since = canary_due(health, sight, policy.every, now)
            # Who has never answered is asked as seldom as who is idle: failing is no reason to spend more.
            pause_s = policy.every if health.seen_at is None else _AGAIN_S
            rested = now - self._sent_at.get(target, -math.inf) >= pause_s
            if since <= now and rested and self._affordable(target, policy, now):
                best = min(best or (since, target), (since, target))
        return None if best is None else best[1]

    def sent(self, target: TargetName, policy: ProbePolicy, now: float) -> None:
        """Count a canary that goes out now, at its full price."""
        self._allowance -= 1.0
        self._sent_at[target] = now
        paid = self._under_way[target] = Spent(target, now, policy.canary_usd)
        self._spent.append(paid)

    def ended(self, target: TargetName, usd: float) -> None:
        """Note that the canary at `target` is over, and what it cost after all."""
        paid = self._under_way.pop(target, None)
        if paid is not None and usd != paid.usd and paid in self._spent:
            self._spent[self._spent.index(paid)] = Spent(target, paid.at, usd)

    def usd(self, provider: str, now: float) -> float:
        """Return what the canaries at `provider` have cost within the last 24 hours, in dollars."""
        self._forget(now)
        return sum(each.usd for each in self._spent if provider_of(each.target) == provider)

    def _affordable(self, target: TargetName, policy: ProbePolicy, now: float) -> bool:
        self._forget(now)
        made = sum(each.target == target for each in self._spent)
        return (
            made < policy.max_per_day and self.usd(provider_of(target), now) + policy.canary_usd <= policy.usd_per_day
        )

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0].at <= now - _DAY_S:
            self._spent.popleft()


def _may_be_best_again(health: TargetHealth, sight: Sight) -> bool:
    """Return whether a target at its own best would beat what is the best now."""
    estimator = health.estimator
    if math.isinf(estimator.best):
        return False
    tokens = max((lengths.unbound for lengths in sight.snapshot.lengths.values()), default=_NOBODY.unbound)
    pace = estimator.pace.mean if math.isinf(estimator.best_pace) else estimator.best_pace
    hoped_s = math.exp(estimator.best) + tokens * math.exp(pace)
    others = (other for other in sight.snapshot.targets.values() if other.ready and other.target != health.target)
    return hoped_s < min((_usual_s(other, tokens) for other in others), default=math.inf)


def _usual_s(health: TargetHealth, tokens: float) -> float:
    estimator = health.estimator
    return math.exp(estimator.first.mean) + tokens * math.exp(estimator.pace.mean)
