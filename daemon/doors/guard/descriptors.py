"""How many connections the process's descriptors allow: each request needs two, and files and listeners some."""

from __future__ import annotations

import resource
from typing import Final

import msgspec
import structlog

from daemon.doors.guard.policy import DoorPolicy

__all__ = ["LINGERING", "affordable", "raise_limit"]

_log = structlog.get_logger("fairlead")
LINGERING: Final = 256
"""Connections that were told no and are not gone yet, at most; they are not among those that count."""
_RESERVE: Final = 128
"""Listeners, the history and its readers, probes, alerts, the loop itself."""
_EACH: Final = 2
"""One for the client, one for the provider."""


def affordable(policy: DoorPolicy, descriptors: int) -> DoorPolicy:
    """Return `policy` with no more connections than `descriptors` can carry."""
    most = max(1, (descriptors - _RESERVE - LINGERING) // _EACH)
    if policy.max_connections <= most:
        return policy
    per_peer = min(policy.max_connections_per_peer, most)
    return msgspec.structs.replace(policy, max_connections=most, max_connections_per_peer=per_peer)


def raise_limit(policy: DoorPolicy) -> DoorPolicy:
    """Raise the process's soft limit of descriptors as far as `policy` needs; return what they then allow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = policy.max_connections * _EACH + _RESERVE + LINGERING
    if soft == resource.RLIM_INFINITY:
        return policy
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    allowed = affordable(policy, soft)
    if allowed.max_connections < policy.max_connections:
        _log.warning("max_connections_lowered", max_connections=allowed.max_connections, descriptors=soft)
    return allowed
