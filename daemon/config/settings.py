"""The configuration file's own shape. Each layer's policy is its own struct; this only composes them."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Literal

import msgspec

from daemon.alerts.policy import AlertPolicy
from daemon.doors.guard.policy import DoorPolicy
from daemon.limits.policy import BudgetPolicy, LimitPolicy
from daemon.routing.policy import DegradedPolicy, MaxPrice, Strategy, StreamFloor, StreamRecovery
from daemon.routing.sorting.policy import Canary, Classifier, OverMaxInput, Shadow, Task, Tiers
from probes.cascade import CascadePolicy
from probes.policy import Abilities, Dialect, ProbePolicy, Timeouts
from state.durations import Seconds, parse_duration
from state.faults import DEFAULT_FALLBACK_ON, Fault
from state.policy import HealthPolicy, HistoryPolicy
from state.prices import Price
from state.sizes import ByteSize, parse_size

__all__ = [
    "DaemonSettings",
    "FileSettings",
    "KeySettings",
    "LogFormat",
    "ProviderSettings",
    "WorkloadSettings",
    "decode_special",
]

LogFormat = Literal["auto", "journal", "json", "text"]
"""How the log is written: `auto` is what fits whoever reads it."""
_CENTURY_S = 36_525 * 86_400
"""Longer times would not fit into the history's milliseconds, and mean a slip of the key."""


def decode_special(kind: type, value: Any) -> Any:
    """Turn what a person writes into durations and sizes: msgspec's `dec_hook`. Raises ValueError, TypeError."""
    if not isinstance(value, str):
        example = "30s" if kind is Seconds else "16MiB"
        raise TypeError(f"{value!r} has no unit; write it in quotes with one, such as {example!r}")
    return _bounded(parse_duration(value), value) if kind is Seconds else parse_size(value)


def _bounded(duration: Seconds, text: str) -> Seconds:
    if not math.isfinite(duration) or duration > _CENTURY_S:
        raise ValueError(f"{text[:20]!r} is longer than a century")
    return duration


class DaemonSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[daemon]`."""

    listen: tuple[str, ...] | None = None
    operators: tuple[str, ...] = ()
    clients: tuple[str, ...] | None = None
    """Who may send requests; where it is left out, everyone who can open the socket."""
    readers: tuple[str, ...] | None = None
    """Who else may read; where it is left out, everyone else."""
    speakers: tuple[str, ...] = ()
    require_keys: bool = False
    hosts: tuple[str, ...] = ()
    """Names by which clients call over TCP, besides localhost and the address itself."""
    drain_grace: Seconds = Seconds(30)
    max_body: ByteSize = ByteSize(16 * 2**20)
    max_head: ByteSize = DoorPolicy().max_head
    max_buffered: ByteSize = DoorPolicy().max_buffered
    max_connections: int = DoorPolicy().max_connections
    max_connections_per_peer: int = DoorPolicy().max_connections_per_peer
    header_timeout: Seconds = DoorPolicy().header_timeout
    body_timeout: Seconds = DoorPolicy().body_timeout
    idle_timeout: Seconds = DoorPolicy().idle_timeout
    send_timeout: Seconds = DoorPolicy().send_timeout
    min_rate: ByteSize = DoorPolicy().min_rate
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: LogFormat = "auto"


class KeySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[keys.NAME]`: who a client is that shows a key over TCP. The key itself is not in the file."""

    sha256: str
    user: str = ""
    """NAME where it is left out."""
    team: str = ""
    role: Literal["reader", "client"] = "client"
    """Nobody operates over TCP."""
    speaks: bool = False
    made: datetime | None = None
    """When `fairlead keys add` made it."""


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME]`; its `health` overrides `[health]` key by key and is merged before it is read."""

    dialect: Dialect
    models: tuple[str, ...]
    base_url: str = ""
    api_key: str = ""
    max_in_flight: int = 64
    timeouts: Timeouts = Timeouts()
    probe: ProbePolicy = ProbePolicy()
    health: HealthPolicy = HealthPolicy()
    abilities: dict[str, Abilities] = msgspec.field(default_factory=dict)
    """By model; `*` stands for all that are not named."""
    status_page: str = ""
    status_component: str = ""
    prices: dict[str, Price] = msgspec.field(default_factory=dict)
    """By model, in dollars; `*` stands for all that are not named."""
    billing: str = ""
    """Whose bill its use goes on."""


class WorkloadSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[workloads.NAME]`."""

    targets: tuple[str, ...] = ()
    """May be left out where `tiers` name them."""
    strategy: str = Strategy.LOWEST_LATENCY.value
    weights: tuple[float, ...] = ()
    default: bool = False
    fallback_on: tuple[Fault, ...] = DEFAULT_FALLBACK_ON
    max_attempts: int = 3
    compatibility: Literal["dialect"] = "dialect"
    """Fallbacks never cross API families; translating between them is not available in this version."""
    notify_user: bool = True
    require_entitlement: bool = False
    degraded: DegradedPolicy = DegradedPolicy()
    escalate: str = ""
    cascade: CascadePolicy | None = None
    deadline: Seconds | None = None
    backoff: Seconds = Seconds(0)
    keep_alive: Seconds = Seconds(5)
    stream_floor: StreamFloor | None = None
    stream_recovery: StreamRecovery = StreamRecovery.NONE
    max_input_tokens: int | None = None
    over_max_input: OverMaxInput = OverMaxInput.REFUSE
    require_human_review: bool = False
    tiers: Tiers | None = None
    classifier: Classifier = Classifier.HEURISTIC
    classifier_workload: str = ""
    classifier_deadline: Seconds = Seconds(0.8)
    tasks: tuple[Task, ...] = ()
    canary: Canary | None = None
    shadow: Shadow | None = None
    max_price: MaxPrice | None = None
    seconds_per_dollar: float | None = None
    cross_billing: bool = False
    hedge: bool = False
    max_wait: Seconds = Seconds(5)
    max_waiting: int = 256


class FileSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file; the schema is made from it."""

    version: Literal[1]
    daemon: DaemonSettings = DaemonSettings()
    keys: dict[str, KeySettings] = msgspec.field(default_factory=dict)
    providers: dict[str, ProviderSettings] = msgspec.field(default_factory=dict)
    workloads: dict[str, WorkloadSettings] = msgspec.field(default_factory=dict)
    health: HealthPolicy = HealthPolicy()
    history: HistoryPolicy = HistoryPolicy()
    alerts: AlertPolicy = AlertPolicy()
    limits: dict[str, LimitPolicy] = msgspec.field(default_factory=dict)
    budgets: BudgetPolicy = BudgetPolicy()
