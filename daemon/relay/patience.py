"""How long one attempt may take until its answer begins, and whose patience it is that ends."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from daemon.relay.calls import ClientCall
from daemon.routing.latency import patience_s
from probes.policy import Timeouts

__all__ = ["Limits", "Whose", "is_slow", "limits_of"]

_SHARE_OF_PATIENCE: Final = 0.95
"""Our answer has to arrive before the client gives up: what is left is for its way."""
_PROVIDERS_OWN: Final = 4.0
"""Whoever's patience ends: four times what a target usually takes is the target's doing."""
_AT_LEAST_S: Final = 1.0
_USUAL_BYTES: Final = 64 * 1024


class Whose(StrEnum):
    """Whose deadline comes first."""

    PROVIDER = "provider"
    """The timeouts of the provider's own section."""
    WORKLOAD = "workload"
    CALLER = "caller"
    """Its header, or the timeout that its SDK tells us."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The deadlines of one attempt, on the monotonic clock."""

    headers_by: float
    """When the answer's head must be there."""
    content_by: float
    """When the answer must have begun: a stream with its content, a plain answer with its last byte."""
    end: float
    """When the attempt must be over."""
    whose: Whose
    """Whose deadline `content_by` is."""
    first_byte_s: float
    """How long a head is waited for once it is connected."""
    last: bool
    """Whether nothing else can be tried after this attempt within the caller's patience."""


def limits_of(
    call: ClientCall, timeouts: Timeouts, chances: int, now: float, terms: Mapping[str, float] | None = None
) -> Limits:
    """Return the limits of an attempt that begins at `now`, when `chances` attempts can still be made, this included.

    What is left of a deadline is shared evenly among the chances, so that a target that hangs cannot use up the time of
    those behind it. `terms` are those of the choice: a stream's head is waited for no longer than follows from them.
    """
    first_byte_s = patience_s(terms, timeouts.first_byte) if terms and _is_usual(call) else timeouts.first_byte
    end = min(now + timeouts.total, call.deadline)
    deadline = call.workload.deadline
    patient_until = min(call.deadline, call.arrived_at + call.patience_s * _SHARE_OF_PATIENCE)
    ends = {
        Whose.PROVIDER: now + timeouts.total,
        Whose.WORKLOAD: math.inf if deadline is None else _share(call.arrived_at + deadline, chances, now),
        Whose.CALLER: _share(patient_until, chances, now),
    }
    whose = min(ends, key=lambda one: ends[one])
    content_by = ends[whose]
    headers_by = min(content_by, now + timeouts.connect + first_byte_s)
    return Limits(
        first_byte_s=first_byte_s, headers_by=headers_by, content_by=content_by, end=end, whose=whose, last=chances <= 1
    )


def _is_usual(call: ClientCall) -> bool:
    """Return whether the call is one of those that the target's first token is known from; long prompts take longer."""
    return call.streamed and len(call.body) <= _USUAL_BYTES


def is_slow(waited_s: float, expected_s: float | None) -> bool:
    """Return whether a target that said nothing for `waited_s` seconds is slow by its own measure."""
    return expected_s is not None and waited_s >= max(_AT_LEAST_S, _PROVIDERS_OWN * expected_s)


def _share(until: float, chances: int, now: float) -> float:
    return now + (until - now) / max(1, chances)
