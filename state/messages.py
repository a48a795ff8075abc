"""What the health registry reads. Messages report in the past participle and ask as `…Requested`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from state.mailbox import Reply
from state.outcome import Outcome, ProbeKind, Work
from state.policy import HealthPolicy
from state.quota import Headroom
from state.standing import HealthSnapshot
from state.targets import TargetName

__all__ = [
    "AnswerBegan",
    "AttemptCompleted",
    "AttemptSpared",
    "DrainRequested",
    "HealthPublished",
    "PageRead",
    "ProbeCompleted",
    "RegistryMessage",
    "ResumeRequested",
    "TargetsReplaced",
]


class ProbeCompleted(msgspec.Struct, frozen=True, kw_only=True):
    """Active evidence: the prober checked a target."""

    target: TargetName
    kind: ProbeKind
    outcome: Outcome
    started_at: float
    at: float
    cost_usd: float | None = None


class AnswerBegan(msgspec.Struct, frozen=True, kw_only=True):
    """Passive evidence: the first token of a streamed answer came. How it ends is told by AttemptCompleted."""

    target: TargetName
    first_s: float
    """Seconds from sending to the first token."""
    started_at: float
    at: float
    in_flight: int = 1
    idle_s: float = 0.0
    headroom: Headroom | None = None
    """What its head told of the provider's limits."""
    ordinal: int = 0
    """Which grant at this target it was, from 1; 0 where nobody counted."""
    tokens_sent: int = 0
    """Estimated tokens sent to this target by then, its own included."""


class AttemptCompleted(msgspec.Struct, frozen=True, kw_only=True):
    """Passive evidence: a client's request was tried at a target."""

    target: TargetName
    outcome: Outcome
    started_at: float
    at: float
    in_flight: int = 1
    """How many requests the target had when this one was sent, itself included."""
    idle_s: float = 0.0
    """Seconds that the target had none before it."""
    began: bool = False
    """Whether its first token was told by AnswerBegan."""
    max_tokens: int | None = None
    """The limit that the request stated."""
    guessed_tokens: float = 0.0
    """How long the answer was expected to be: what stands in for a count that the provider does not give."""
    workload: str = ""
    ordinal: int = 0
    """Which grant at this target it was, from 1; 0 where nobody counted."""
    tokens_sent: int = 0
    """Estimated tokens sent to this target by then, its own included."""
    work: Work = Work.GENERATE


class AttemptSpared(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that was counted was never sent: a rehearsal took its place."""

    target: TargetName
    ordinal: int
    tokens: int
    """Its own estimated tokens."""


class PageRead(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's status page was read: hearsay, not evidence."""

    provider: str
    level: float
    """The share of requests that it makes one expect to fail."""
    text: str
    at: float
    """When it was read; minus infinity takes back what it said."""


class DrainRequested(msgspec.Struct, frozen=True, kw_only=True):
    """An operator wants no new requests at a target. The reply is False where it does not exist."""

    target: TargetName
    by: str
    reason: str = ""
    until: float | None = None
    reply: Reply[bool]


class ResumeRequested(msgspec.Struct, frozen=True, kw_only=True):
    """An operator allows new requests again. The reply is False where the target does not exist."""

    target: TargetName
    by: str
    reply: Reply[bool]


class TargetsReplaced(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration came into force: these are all targets, with the health policy of each."""

    targets: Mapping[TargetName, HealthPolicy]


RegistryMessage = (
    ProbeCompleted
    | AnswerBegan
    | AttemptCompleted
    | AttemptSpared
    | DrainRequested
    | PageRead
    | ResumeRequested
    | TargetsReplaced
)


class HealthPublished(msgspec.Struct, frozen=True, kw_only=True):
    """The registry's newest picture, to the dispatcher."""

    snapshot: HealthSnapshot
