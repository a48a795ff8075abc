"""What an attempt or a canary at one target says of the provider's others: of their host, and of their key."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from state.faults import Scope
from state.health import fold, tick
from state.messages import ProbeCompleted
from state.observation import held_back
from state.outcome import ProbeKind
from state.policy import HealthPolicy
from state.record import Evidence, Record, is_surface

__all__ = ["hear"]

_APART_S: Final = 1.0
"""What is heard within this time of a fault that counted is the same trouble told again.

One request may try every model of a provider within it: that is one piece of news, not one for each.
"""


def hear(record: Record, evidence: Evidence, policy: HealthPolicy) -> Record:
    """Return the record after evidence of another target of the same provider, where that says something of this one.

    A host that cannot be reached, or can again, is the same host; a key that is refused, or has spent its quota, is the
    same key, and works again for all that it pays for.
    """
    if evidence.outcome.fault is None:
        return _relieved(record, evidence)
    match evidence.outcome.scope:
        case Scope.HOST:
            return _unreached(record, evidence, policy)
        case Scope.CREDENTIAL:
            return held_back(tick(record, policy, evidence.at), evidence)
        case Scope.TARGET:
            return record


def _relieved(record: Record, success: Evidence) -> Record:
    if is_surface(success):
        return replace(record, surface_faults=0) if record.surface_faults else record
    block = record.block.after_neighbour(success.started_at)
    refusal = record.refusal.after_neighbour(success.started_at)
    return replace(record, surface_faults=0, block=block, refusal=refusal)


def _unreached(record: Record, evidence: Evidence, policy: HealthPolicy) -> Record:
    if evidence.at - record.counted_at < _APART_S:
        return record
    seen = ProbeCompleted(
        target=record.target,
        kind=ProbeKind.LIVENESS,
        outcome=evidence.outcome,
        started_at=evidence.started_at,
        at=evidence.at,
    )
    return fold(record, seen, policy)
