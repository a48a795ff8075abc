"""What sessions and their exchanges work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

from daemon.degraded.shelf import Shelf
from daemon.lease_desk import LeaseDesk
from daemon.limits.till import Till
from daemon.rehearsals import Rehearsals
from daemon.relay.audition import Audition
from daemon.relay.billing import NOBODY_IN_PARTICULAR, Payers
from daemon.relay.calls import ClientCall
from daemon.relay.checks import Checks
from daemon.relay.curfew import Curfew
from daemon.relay.deadlines import DeadlineSweep
from daemon.relay.journal import Witnesses
from daemon.relay.patience import Limits
from daemon.routing.complexity.tiers import Classified
from daemon.shadow.copies import Copied
from probes.calls import UpstreamReply, UpstreamRequest
from probes.dialects.continuing import Splice
from probes.dialects.requests import RequestForm
from probes.dialects.texts import TextSoFar
from probes.policy import Provider
from state.mailbox import Address
from state.outcome import Outcome
from state.prices import Price
from state.targets import TargetName

if TYPE_CHECKING:
    from daemon.routing.complexity.features import Asked

__all__ = ["AsksHowHard", "Gear", "Surroundings", "Terms", "Upstream"]


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
    unasked: bytes | None = None
    """The body as the client sent it, where its stream is asked for its usage besides; None where it is not."""


class AsksHowHard(Protocol):
    """Who asks a model how hard a request is: `daemon.triage.model.ModelClassifier`."""

    async def classified(self, call: ClientCall, asked: Asked, ruled: Classified) -> Classified:
        """Return what the model takes `asked` for; `ruled`, with the trouble told in its reasons, where it fails."""
        ...


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
    till: Till
    prices: Mapping[TargetName, Price] = msgspec.field(default_factory=dict)
    """What each target asks, where that is known."""
    payers: Payers = NOBODY_IN_PARTICULAR
    model: AsksHowHard | None = None
    """Who asks how hard a request is, where a workload wants a model to say so."""
    shadows: Address[Copied] | None = None
    """Who sends copies of requests to candidates."""
    checks: Checks = msgspec.field(default_factory=Checks)
    """Who runs the check commands of cascades."""
