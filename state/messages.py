"""What the health registry reads. Messages report in the past participle and ask as `…Requested`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from state.mailbox import Reply
from state.outcome import Outcome, ProbeKind
from state.policy import HealthPolicy
from state.quota import Headroom
from state.standing import HealthSnapshot
from state.targets import TargetName

__all__ = [
    "AnswerBegun",
    "AttemptCompleted",
    "AttemptSpared",
    "DrainRequested",
    "HealthPublished",
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


class AttemptCompleted(msgspec.Struct, frozen=True, kw_only=True):
    """Passive evidence: a client's request was tried at a target."""

    target: TargetName
    outcome: Outcome
    started_at: float
    at: float
    ordinal: int = 0
    """Which grant at this target it was, from 1; 0 where nobody counted."""
    tokens_sent: int = 0
    """Estimated tokens sent to this target by then, its own included."""


class AnswerBegun(msgspec.Struct, frozen=True, kw_only=True):
    """A stream has said its first content: what its head told of limits is worth knowing long before its end."""

    target: TargetName
    headroom: Headroom | None
    started_at: float
    at: float
    ordinal: int
    tokens_sent: int


class AttemptSpared(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that was counted was never sent: a rehearsal took its place."""

    target: TargetName
    ordinal: int
    tokens: int
    """Its own estimated tokens."""


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
    ProbeCompleted | AttemptCompleted | AttemptSpared | AnswerBegun | DrainRequested | ResumeRequested | TargetsReplaced
)


class HealthPublished(msgspec.Struct, frozen=True, kw_only=True):
    """The registry's newest picture, to the dispatcher."""

    snapshot: HealthSnapshot
