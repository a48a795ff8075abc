"""What the health registry reads. Messages report in the past participle and ask as `…Requested`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from state.mailbox import Reply
from state.outcome import Outcome, ProbeKind
from state.policy import HealthPolicy
from state.standing import HealthSnapshot
from state.targets import TargetName

__all__ = [
    "AttemptCompleted",
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
    unanswered_s: float | None = None
    """Seconds for which it had said nothing when it was given up for another that answered first, None for all others.

    Its first token takes at least that long: for an estimate, and never for the standing.
    """


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


RegistryMessage = ProbeCompleted | AttemptCompleted | DrainRequested | ResumeRequested | TargetsReplaced


class HealthPublished(msgspec.Struct, frozen=True, kw_only=True):
    """The registry's newest picture, to the dispatcher."""

    snapshot: HealthSnapshot
