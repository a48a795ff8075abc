"""What sessions and their exchanges work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from daemon.degraded.shelf import Shelf
from daemon.lease_desk import LeaseDesk
from daemon.rehearsals import Rehearsals
from daemon.relay.audition import Audition
from daemon.relay.checks import Checks
from daemon.relay.curfew import Curfew
from daemon.relay.deadlines import DeadlineSweep
from daemon.relay.journal import Witnesses
from daemon.relay.patience import Limits
from probes.calls import UpstreamReply, UpstreamRequest
from probes.dialects.continuing import Splice
from probes.dialects.requests import RequestForm
from probes.dialects.texts import TextSoFar
from probes.policy import Provider
from state.outcome import Outcome
from state.prices import Price
from state.targets import TargetName

__all__ = ["Gear", "Surroundings", "Terms", "Upstream"]


class Upstream(Protocol):
    """What opens a call to a provider: `probes.wire.Wires`."""

    async def open(self, provider: Provider, request: UpstreamRequest) -> UpstreamReply:
        """Send `request` and return once status and headers are there. Raises WireError."""
        ...


class Gear(msgspec.Struct, frozen=True):
    """What every exchange works with."""

    upstream: Upstream
    sweep: DeadlineSweep
    clock: Callable[[], float]
    """Monotonic seconds."""
    wall: Callable[[], float]
    """Unix seconds: providers name dates until which to wait."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one exchange."""

    limits: Limits
    expected_s: float | None = None
    """How long the target usually takes, in seconds."""
    splice: Splice | None = None
    """What makes its stream the continuation of one that broke; None for a stream of its own."""
    text: TextSoFar | None = None
    """Where the text that goes to the client is collected, where somebody needs it."""
    audition: Audition | None = None
    """Who judges its beginning before the client has any of it; None where it goes on as it comes."""
    began: Callable[[Outcome], None] | None = None
    """Who hears at once that a stream has begun, and what its head told."""


class Surroundings(msgspec.Struct, frozen=True):
    """What every session works with."""

    desk: LeaseDesk
    gear: Gear
    witnesses: Witnesses
    providers: Mapping[str, Provider]
    forms: Mapping[str, RequestForm]
    """What all requests to a provider have in common, by its name."""
    rehearsals: Rehearsals
    shelf: Shelf
    curfew: Curfew
    prices: Mapping[TargetName, Price] = msgspec.field(default_factory=dict)
    """What each target asks, where that is known."""
    checks: Checks = msgspec.field(default_factory=Checks)
    """Who runs the check commands of cascades."""
