"""The settings of one workload, and what the dispatcher knows of the targets it may choose."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

import msgspec

from daemon.routing.sorting.policy import Canary, Classifier, OverMaxInput, Shadow, Task, Tiers
from probes.cascade import CascadePolicy
from probes.policy import Abilities, Dialect
from state.durations import Seconds
from state.faults import DEFAULT_FALLBACK_ON, Fault
from state.prices import Price
from state.sizes import ByteSize
from state.targets import TargetName

__all__ = [
    "DegradedPolicy",
    "MaxPrice",
    "Routes",
    "Strategy",
    "StreamFloor",
    "StreamRecovery",
    "TargetPlace",
    "Workload",
]


class Strategy(StrEnum):
    """How a workload's ready targets are put in order."""

    LOWEST_LATENCY = "lowest-latency"
    PRIORITY = "priority"
    ROUND_ROBIN = "round-robin"
    WEIGHTED = "weighted"
    CHEAPEST = "cheapest"
    COMPLEXITY = "complexity"
    """By how hard the request is: each tier has its targets."""
    TASK = "task"
    """By what the request is for."""
    CASCADE = "cascade"
    """The cheapest first, and a costlier one where its answer does not do."""


class DegradedPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the client gets when no target answered."""

    mode: Literal["none", "static", "cache"] = "none"
    """Nothing but the error; `message`; or the last good answer to the same request, else `message`."""
    message: str = ""
    messages: dict[str, str] = msgspec.field(default_factory=dict)
    """Other messages by the fault that the last attempt ended with."""
    status: Literal[200, 503] = 503
    """200: it comes as an answer that is marked as degraded. 503: it comes in the error."""
    max_age: Seconds = Seconds(3600)
    """No older answer is given from the cache."""
    max_size: ByteSize = ByteSize(64 * 2**20)
    """How much text the cache keeps; all workloads share one, with the largest of their limits."""


class StreamRecovery(StrEnum):
    """What becomes of a stream that breaks after content."""

    NONE = "none"
    CONTINUE = "continue"
    """The next target is asked to go on from the text so far."""


class StreamFloor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How slow a stream's beginning may be before it is left for the next target."""

    tokens_per_second: float
    over: Seconds = Seconds(2)
    """For how long the beginning is watched, and held back, at most."""

    @property
    def tokens(self) -> float:
        """How many tokens are proof enough."""
        return self.tokens_per_second * self.over


class MaxPrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most that a target may ask, in dollars per million tokens."""

    input: float = float("inf")
    output: float = float("inf")


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """A named policy that clients address as a model."""

    name: str
    targets: tuple[TargetName, ...]
    strategy: str = Strategy.LOWEST_LATENCY.value
    """One of `Strategy`, or the name of one that another package brings."""
    weights: tuple[float, ...] = ()
    """For `weighted`: one positive number per target, in the order of `targets`; empty means all alike."""
    default: bool = False
    fallback_on: tuple[Fault, ...] = DEFAULT_FALLBACK_ON
    max_attempts: int = 3
    notify_user: bool = True
    """Whether `fairlead-degraded: fallback` tells the client that a fallback answered."""
    require_entitlement: bool = False
    """Whether a refused key, model or account is always shown, and never answered around."""
    degraded: DegradedPolicy = DegradedPolicy()
    escalate: TargetName | None = None
    """Who is asked once where an answer came and does not do what was asked."""
    cascade: CascadePolicy | None = None
    """For the strategy of that name: what makes an answer not do, so that a costlier target is asked."""
    deadline: Seconds | None = None
    """For the whole request until its answer begins, over all attempts."""
    backoff: Seconds = Seconds(0)
    """Before a fallback on a rate limit or a spent quota."""
    keep_alive: Seconds = Seconds(5)
    """How long a stream's client waits in silence while a fallback is under way."""
    stream_floor: StreamFloor | None = None
    stream_recovery: StreamRecovery = StreamRecovery.NONE
    max_input_tokens: int | None = None
    over_max_input: OverMaxInput = OverMaxInput.REFUSE
    require_human_review: bool = False
    """Whether a person is to look at every answer: each is marked and listed."""
    tiers: Tiers | None = None
    """For `complexity`."""
    classifier: Classifier = Classifier.HEURISTIC
    classifier_workload: str = ""
    """Who is asked how hard a request is, for `model`."""
    classifier_deadline: Seconds = Seconds(0.8)
    """How long its answer is waited for."""
    tasks: tuple[Task, ...] = ()
    """For `task`: the first that a request fulfils is its task; the last is every request's."""
    canary: Canary | None = None
    shadow: Shadow | None = None
    max_price: MaxPrice | None = None
    """Targets that ask more, or of unknown price, are not chosen."""
    seconds_per_dollar: float | None = None
    """For `lowest-latency`: how many seconds a dollar is worth."""
    cross_billing: bool = False
    """Whether a fallback may go to a target that another account pays for."""
    hedge: bool = False
    """Whether a second target is asked too where the first says nothing for unusually long."""
    max_wait: Seconds = Seconds(5)
    """How long a request may wait for a target that is full, rate-limited or cooling."""
    max_waiting: int = 256
    """How many requests of the workload may wait at once; more are refused."""
    named: bool = True
    """False for the implied workload behind `provider/model` or a bare model name."""

    @property
    def sorts(self) -> bool:
        """Whether some targets suit one request better than another by what it is."""
        return self.tiers is not None or bool(self.tasks) or self.canary is not None


class TargetPlace(msgspec.Struct, frozen=True, kw_only=True):
    """What choosing needs to know of a target besides its health."""

    provider: str
    dialect: Dialect
    max_in_flight: int
    """The provider's limit, shared by all its targets."""
    abilities: Abilities = Abilities()
    price: Price | None = None
    """What it asks, None where that is unknown."""
    billing: str = ""
    """The group of providers that one account pays for."""


class Routes(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the dispatcher chooses among; replaced as a whole by a reload."""

    workloads: Mapping[str, Workload]
    places: Mapping[TargetName, TargetPlace]

    def choosy(self, workload: Workload, size: int) -> bool:
        """Return whether some target of `workload` cannot take every request of `size` bytes."""
        drawn = () if workload.canary is None else (workload.canary.target,)
        targets = (*workload.targets, *drawn)
        return any((place := self.places.get(target)) and not place.abilities.takes_all_of(size) for target in targets)
