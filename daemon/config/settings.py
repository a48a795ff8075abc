"""The configuration file's own shape. Each layer's policy is its own struct; this only composes them."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

import msgspec

from daemon.routing.policy import DegradedPolicy, Strategy
from probes.policy import Dialect, ProbePolicy, Timeouts
from state.durations import Seconds, parse_duration
from state.faults import DEFAULT_FALLBACK_ON, Fault
from state.policy import HealthPolicy, HistoryPolicy

__all__ = [
    "ByteSize",
    "DaemonSettings",
    "FileSettings",
    "ProviderSettings",
    "WorkloadSettings",
    "decode_special",
    "parse_size",
]

_CENTURY_S = 36_525 * 86_400
"""Longer times would not fit into the history's milliseconds, and mean a slip of the key."""
_SIZE = re.compile(r"(\d+)(B|KiB|MiB|GiB|kB|MB|GB)")
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class ByteSize(int):
    """A number of bytes. A type of its own so that a configuration may spell it `16MiB`."""

    __slots__ = ()


def parse_size(text: str) -> ByteSize:
    """Return the bytes that `text` spells, such as `16MiB`. Raises ValueError on anything else."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size; write a number and a unit, such as 512KiB or 16MiB")
    return ByteSize(int(match[1]) * _UNITS[match[2]])


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
    drain_grace: Seconds = Seconds(30)
    max_body: ByteSize = ByteSize(16 * 2**20)
    log_level: Literal["debug", "info", "warning", "error"] = "info"


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


class WorkloadSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[workloads.NAME]`."""

    targets: tuple[str, ...]
    strategy: Strategy = Strategy.LOWEST_LATENCY
    weights: tuple[float, ...] = ()
    default: bool = False
    fallback_on: tuple[Fault, ...] = DEFAULT_FALLBACK_ON
    max_attempts: int = 3
    compatibility: Literal["dialect"] = "dialect"
    """Fallbacks never cross API families; translating between them is not available in this version."""
    notify_user: bool = True
    degraded: DegradedPolicy = DegradedPolicy()
    max_input_tokens: int | None = None
    max_wait: Seconds = Seconds(5)
    max_waiting: int = 256


class FileSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file; the schema is made from it."""

    version: Literal[1]
    daemon: DaemonSettings = DaemonSettings()
    providers: dict[str, ProviderSettings] = msgspec.field(default_factory=dict)
    workloads: dict[str, WorkloadSettings] = msgspec.field(default_factory=dict)
    health: HealthPolicy = HealthPolicy()
    history: HistoryPolicy = HistoryPolicy()
