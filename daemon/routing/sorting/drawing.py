"""By a draw: which requests a candidate answers, and of which it is sent a copy."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from msgspec.structs import replace

from daemon.routing.leases import Preference
from daemon.routing.policy import Workload
from daemon.routing.sorting.policy import Canary

__all__ = ["CANARY", "canaried", "drawn", "routed"]

CANARY: Final = "canary"
"""The label of requests that a candidate was drawn for."""
_BYTES: Final = 8


def drawn(share: float, key: str, purpose: str) -> bool:
    """Return whether a request is among a `share` of all: by the hash of its `key`, for each `purpose` anew."""
    digest = blake2b(key.encode("utf-8", "surrogateescape"), digest_size=_BYTES, person=purpose.encode()).digest()
    return int.from_bytes(digest) < share * 2.0 ** (8 * _BYTES)


def canaried(canary: Canary, others: Preference) -> Preference:
    """Return the preference of a request that was drawn: the candidate before all `others`."""
    why = f"{CANARY} (drawn for {canary.share:.4g} of the requests)"
    return replace(others, groups=((canary.target,), *others.groups), label=CANARY, why=why, candidate=canary.target)


def routed(workload: Workload, preference: Preference) -> Workload:
    """Return the workload as the request is routed by it: with its canary's target behind its own, if drawn."""
    return workload if preference.candidate is None else _with_candidate(_Same(workload))


class _Same:
    """A workload by identity: what it holds cannot be hashed, and each is there until a reload."""

    __slots__ = ("workload",)

    def __init__(self, workload: Workload) -> None:
        self.workload = workload

    def __hash__(self) -> int:
        return id(self.workload)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.workload is self.workload


@lru_cache(maxsize=64)
def _with_candidate(same: _Same) -> Workload:
    workload = same.workload
    if workload.canary is None:
        return workload
    weights = (*workload.weights, 1.0) if workload.weights else ()  # alone in its group, it is weighed against nobody
    return replace(workload, targets=(*workload.targets, workload.canary.target), weights=weights)
