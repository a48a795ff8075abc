"""What a recorded choice was made from, as far as it matters under another configuration."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from daemon.replay.packing import unpacker
from daemon.routing.leases import Preference
from daemon.routing.policy import MaxPrice, Routes, Strategy, StreamFloor, StreamRecovery, TargetPlace, Workload
from daemon.routing.sorting.again import sorted_as
from probes.cascade import CascadePolicy
from probes.dialects.needs import Needs
from probes.surfaces import Surface
from state.durations import Seconds
from state.faults import DEFAULT_FALLBACK_ON, Fault
from state.standing import HealthSnapshot, Standing
from state.targets import TargetName

__all__ = ["Then", "read_then"]


class _Workload(msgspec.Struct, frozen=True):
    """The rules of then; what is not named here makes no difference to a replay."""

    targets: tuple[TargetName, ...]
    strategy: str = Strategy.LOWEST_LATENCY.value
    weights: tuple[float, ...] = ()
    fallback_on: tuple[Fault, ...] = DEFAULT_FALLBACK_ON
    max_attempts: int = 3
    require_entitlement: bool = False
    escalate: TargetName | None = None
    cascade: CascadePolicy | None = None
    deadline: Seconds | None = None
    backoff: Seconds = Seconds(0)
    stream_floor: StreamFloor | None = None
    stream_recovery: StreamRecovery = StreamRecovery.NONE
    hedge: bool = False
    max_price: MaxPrice | None = None
    seconds_per_dollar: float | None = None
    cross_billing: bool = False


class _Query(msgspec.Struct, frozen=True):
    workload: _Workload
    surface: Surface
    fallback_on: tuple[Fault, ...] = ()
    needs: Needs = Needs()
    more_than: int = 0
    max_tokens: int | None = None
    tokens: int = 0
    frugal: bool = False
    billing: str | None = None
    preference: Preference = Preference()


class _Routes(msgspec.Struct, frozen=True):
    places: Mapping[TargetName, TargetPlace]


class _Health(msgspec.Struct, frozen=True):
    standing: Standing = Standing.UNPROVEN
    since: float = 0.0
    last_fault_at: float | None = None
    drained: bool = False
    blocked_until: float | None = None
    refused_until: float | None = None
    mean_s: float | None = None


class _Snapshot(msgspec.Struct, frozen=True):
    targets: Mapping[TargetName, _Health] = msgspec.field(default_factory=dict)


class Then(msgspec.Struct, frozen=True):
    """A recorded setting, without what was measured."""

    query: _Query
    routes: _Routes
    snapshot: _Snapshot
    now: float

    @property
    def fallback_allowed(self) -> bool:
        """Whether the client let the request go elsewhere."""
        return bool(self.query.fallback_on) or not self.query.workload.fallback_on

    def rules_are(self, workload: Workload) -> bool:
        """Whether what follows a failure is ruled as it is in `workload`."""
        mine = self.query.workload
        return all(getattr(mine, name) == getattr(workload, name) for name in _CHAIN)

    def is_as(self, workload: Workload, routes: Routes, snapshot: HealthSnapshot, now: float) -> bool:
        """Whether `choose` is asked the same again: then its answer is the recorded one, and needs no estimate.

        The targets, their order, weights and places are the same, and each has the standing that it had. What they ask
        may be different where nobody looks at it.
        """
        mine = self.query.workload
        if any(getattr(mine, name) != getattr(workload, name) for name in _CHOICE):
            return False
        if self.query.preference.groups != sorted_as(workload, self.query.preference).groups:
            return False
        same = _same if self._minds_prices else _same_but_for_its_price
        return all(
            same(self.routes.places.get(target), routes.places.get(target)) and self._stands(target, snapshot, now)
            for target in workload.targets
        )

    @property
    def _minds_prices(self) -> bool:
        mine = self.query.workload
        weighed = mine.max_price is not None or mine.seconds_per_dollar is not None or self.query.frugal
        return weighed or mine.strategy not in _BLIND_TO_PRICES

    def _stands(self, target: TargetName, snapshot: HealthSnapshot, now: float) -> bool:
        then, health = self.snapshot.targets.get(target), snapshot.targets.get(target)
        if then is None or health is None:
            return then is None and health is None
        moved = _is_fresh(then.since, self.now) or _is_fresh(health.since, now)
        failed = _is_fresh(then.last_fault_at, self.now) or _is_fresh(health.last_fault_at, now)
        blocked = _waits(then.blocked_until, self.now), _waits(then.refused_until, self.now)
        return (
            (moved or then.standing is health.standing)
            and then.drained is health.drained
            and (failed or blocked == (_waits(health.blocked_until, now), _waits(health.refused_until, now)))
            and (then.mean_s is None or health.mean_s is not None)
            and (health.mean_s is None or then.mean_s is not None)
        )


_CHAIN = (
    *("fallback_on", "max_attempts", "require_entitlement", "escalate", "cascade", "deadline", "backoff"),
    *("stream_floor", "stream_recovery", "hedge"),
)
_CHOICE = (*("targets", "strategy", "weights", "fallback_on", "max_price", "seconds_per_dollar", "cross_billing"),)
_BLIND_TO_PRICES = frozenset(
    {
        *(Strategy.LOWEST_LATENCY, Strategy.PRIORITY, Strategy.ROUND_ROBIN, Strategy.WEIGHTED),
        *(Strategy.COMPLEXITY, Strategy.TASK),
    }
)
"""Of others it is not known what they look at."""
_SETTLED_S = 0.05
"""A change that is as fresh may not have been published when the choice was made; and rows are a millisecond coarse."""
_UNPACK = unpacker(Then)


def read_then(setting: bytes | None) -> Then | None:
    """Return what a setting holds, None where there is none that this version can read."""
    if setting is None:
        return None
    try:
        return _UNPACK(zlib.decompress(setting))
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _same(one: TargetPlace | None, other: TargetPlace | None) -> bool:
    return one == other


def _same_but_for_its_price(one: TargetPlace | None, other: TargetPlace | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == replace(other, price=one.price)


def _is_fresh(at: float | None, now: float) -> bool:
    return at is not None and now - at < _SETTLED_S


def _waits(until: float | None, now: float) -> bool:
    return until is not None and until > now
