"""The settings of one workload, and what the dispatcher knows of the targets it may choose."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

import msgspec

from probes.policy import Dialect
from state.durations import Seconds
from state.faults import DEFAULT_FALLBACK_ON, Fault
from state.targets import TargetName

__all__ = ["DegradedPolicy", "Routes", "Strategy", "TargetPlace", "Workload"]


class Strategy(StrEnum):
    """How a workload's ready targets are put in order."""

    LOWEST_LATENCY = "lowest-latency"
    PRIORITY = "priority"
    ROUND_ROBIN = "round-robin"
    WEIGHTED = "weighted"


class DegradedPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the client gets when no target answered: nothing but the error, or `message` in it."""

    mode: Literal["none", "static"] = "none"
    message: str = ""


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """A named policy that clients address as a model."""

    name: str
    targets: tuple[TargetName, ...]
    strategy: Strategy = Strategy.LOWEST_LATENCY
    weights: tuple[float, ...] = ()
    """For `weighted`: one positive number per target, in the order of `targets`; empty means all alike."""
    default: bool = False
    fallback_on: tuple[Fault, ...] = DEFAULT_FALLBACK_ON
    max_attempts: int = 3
    notify_user: bool = True
    """Whether `fairlead-degraded: fallback` tells the client that a fallback answered."""
    degraded: DegradedPolicy = DegradedPolicy()
    max_input_tokens: int | None = None
    max_wait: Seconds = Seconds(5)
    """How long a request may wait for a target that is full, rate-limited or cooling."""
    max_waiting: int = 256
    """How many requests of the workload may wait at once; more are refused."""
    named: bool = True
    """False for the implied workload behind `provider/model` or a bare model name."""


class TargetPlace(msgspec.Struct, frozen=True, kw_only=True):
    """What choosing needs to know of a target besides its health."""

    provider: str
    dialect: Dialect
    max_in_flight: int
    """The provider's limit, shared by all its targets."""


class Routes(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the dispatcher chooses among; replaced as a whole by a reload."""

    workloads: Mapping[str, Workload]
    places: Mapping[TargetName, TargetPlace]
