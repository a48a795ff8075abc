"""What the registry knows of one target, as a value: its record, and the picture of it that others see."""

from __future__ import annotations

import math

import msgspec

from state.blocks import Block
from state.faults import Fault
from state.latency.estimator import NEWCOMER, Estimator
from state.latency.forecast import Forecast, forecast_of
from state.latency.reliability import Reliability
from state.messages import AttemptCompleted, ProbeCompleted
from state.outcome import ProbeKind, Work
from state.pages import HEARD_MOST, PageReport
from state.policy import EstimatorKind
from state.quota import Quota
from state.standing import Standing, TargetHealth
from state.targets import TargetName
from state.window import Window, estimate, share_succeeded

__all__ = ["Evidence", "Record", "is_surface", "next_wake", "view"]

_UNASKED = Forecast(0.0, math.inf, 0.0, simple=False)
Evidence = AttemptCompleted | ProbeCompleted


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """All that the registry knows of one target. Times are seconds on the loop's monotonic clock."""

    target: TargetName
    standing: Standing = Standing.UNPROVEN
    since: float = 0.0
    until: float = math.inf
    """When the cooldown ends; infinity unless it is cooling."""
    cause: str = "not tried yet"
    request_faults: int = 0
    """Requests and canaries that failed in a row."""
    surface_faults: int = 0
    """Liveness and catalog probes that failed in a row; a passing one takes back these, and only these."""
    run_of: Fault | None = None
    """The kind of the faults in a row, None where they are mixed; of no meaning without any."""
    counted_at: float = -math.inf
    """When the last fault came that was counted against it."""
    successes: int = 0
    """Trials that succeeded in a row, while it is on probation."""
    vouched: bool = False
    """On probation: whether a canary has succeeded since its cooldown."""
    trial_at: float = math.inf
    """On probation: from when a request is tried though no canary has vouched; infinity where one has, or elsewhere."""
    check_at: float = math.inf
    """While it is cooling: from when a canary may vouch for it."""
    mistrust: int = 0
    """How often a canary vouched for it and a request then failed."""
    limit: int = 0
    """How many requests it may have at once; 0 for no limit of its own."""
    last_live_at: float = -math.inf
    """When a request was last tried at it."""
    seen_at: float = -math.inf
    """When anything was last observed that speaks of its latency."""
    answered_from: float = -math.inf
    """When the newest request was sent that has had a first token since."""
    failed_from: float = -math.inf
    """When the newest request was sent that has failed since."""
    ejections: int = 0
    """Ejections in a row: what the next cooldown grows from."""
    drained: bool = False
    drained_until: float = math.inf
    drain_reason: str = ""
    block: Block = Block()
    """Until when its provider has no room: rate limits, spent quotas, overloads with a hint."""
    refusal: Block = Block()
    """Until when asking is of no use because a key or a name is wrong."""
    quota: Quota | None = None
    """What its provider told of its limits; a restart knows nothing of it."""
    lifted_at: float = -math.inf
    """When a new configuration lifted what a key or a bill was in the way of; what was sent before was refused then."""
    fell_on: Fault | None = None
    """The fault that ejected it last."""
    latencies: Window[float] = Window()
    outcomes: Window[bool] = Window()
    """How the requests and canaries of this standing ended: True for a success, False for a fault that ejects."""
    estimator: Estimator = NEWCOMER
    reliability: Reliability = Reliability()
    probe_s: float | None = None
    last_fault: Fault | None = None
    last_fault_at: float | None = None
    page: PageReport | None = None
    """What its provider's status page says; a restart knows nothing of it."""


def is_surface(evidence: Evidence) -> bool:
    """Return whether the evidence says who can be reached, not who can serve: a liveness or catalog probe, a count."""
    if isinstance(evidence, AttemptCompleted):
        return evidence.work is Work.COUNT
    return evidence.kind is not ProbeKind.CANARY


def next_wake(record: Record) -> float:
    """Return when time alone changes the record next; infinity for never."""
    wake = min(record.until, record.drained_until, record.latencies.empty_at, record.outcomes.empty_at)
    if record.page is not None:
        wake = min(wake, record.page.until)
    ends = (block.until for block in (record.block, record.refusal) if block.until > -math.inf)
    return min([wake, *ends])


def view(record: Record, now: float, estimator: EstimatorKind = EstimatorKind.ADAPTIVE) -> TargetHealth:
    """Return what others may see of the record at `now`; `estimator` says what latency is expected by."""
    latency = estimate(record.latencies, record.probe_s, now)
    # Where nothing was ever generated there is no estimator to go by: embeddings are chosen by their plain average.
    plain = estimator is EstimatorKind.MEAN or not record.estimator.first.count
    mean_s = _mean(record.latencies.fresh(now)) if plain else None
    return TargetHealth(
        target=record.target,
        standing=record.standing,
        since=record.since,
        until=_finite(record.until),
        cause=record.cause,
        drained=record.drained,
        drained_until=_finite(record.drained_until),
        drain_reason=record.drain_reason,
        fell_on=record.fell_on,
        blocked_until=_finite(record.block.until),
        blocked_by=record.block.fault,
        unsure=record.block.guesses > 0,
        quota=record.quota,
        refused_until=_finite(record.refusal.until),
        refused_by=record.refusal.fault,
        expected_s=latency.expected_s,
        mean_s=mean_s,
        p50_s=latency.p50_s,
        p95_s=latency.p95_s,
        samples=latency.samples,
        success_ratio=share_succeeded(record.outcomes, now),
        last_fault=record.last_fault,
        last_fault_at=record.last_fault_at,
        estimator=record.estimator,
        forecast=forecast_of(record.estimator) if mean_s is None else _UNASKED,
        reliability=record.reliability,
        limit=record.limit or None,
        trial_from=_finite(record.trial_at),
        check_at=_finite(record.check_at),
        seen_at=_finite(record.seen_at),
        answered_from=record.answered_from,
        clear=_is_clear(record),
        page=record.page,
        heard=record.outcomes.times[-HEARD_MOST:] if record.page is not None and record.page.level else (),
    )


def _is_clear(record: Record) -> bool:
    admitted = record.standing in {Standing.HEALTHY, Standing.UNPROVEN} and not record.drained and not record.limit
    free = record.block.until == -math.inf and record.refusal.until == -math.inf and not record.block.guesses
    return admitted and free


def _mean(latencies: tuple[float, ...]) -> float | None:
    return sum(latencies) / len(latencies) if latencies else None


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None
