"""What sessions and the dispatcher say to each other: queries, leases, and why there is none."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from enum import StrEnum

import msgspec

from daemon.routing.policy import Routes, Workload
from probes.dialects.needs import Needs
from probes.surfaces import Surface
from state.faults import Fault
from state.history.rows import Packable
from state.mailbox import Reply
from state.messages import HealthPublished
from state.standing import HealthSnapshot
from state.targets import TargetName

__all__ = [
    "Candidate",
    "Choice",
    "Departure",
    "DispatcherMessage",
    "DispatcherView",
    "Lease",
    "LeaseReleased",
    "LeaseRequested",
    "NoLease",
    "NoLeaseReason",
    "Preference",
    "RoutePreviewRequested",
    "RouteQuery",
    "RoutesReplaced",
    "UnderWay",
    "ViewRequested",
]


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """One target as the choice saw it: its score, or why it was skipped."""

    target: TargetName
    score: float | None = None
    """Lower is better; None where it was skipped."""
    terms: Mapping[str, float] = msgspec.field(default_factory=dict)
    """The parts of the score by name, such as `expected_s`, `in_flight`, `weight`."""
    skipped: str = ""


class UnderWay(msgspec.Struct, frozen=True):
    """An attempt that says nothing, as the question for its hedge names it."""

    own: Candidate
    """Its target, as the choice saw it that took it."""
    since: float
    """When it began, on the monotonic clock."""


class Preference(msgspec.Struct, frozen=True):
    """Which targets suit a request by what it is: those of the first group come before those of the second."""

    groups: tuple[tuple[TargetName, ...], ...] = ()
    """Targets in no group come last; without groups all are alike."""
    label: str = ""
    """What the request was taken for: a tier, a task, `canary`."""
    why: str = ""
    """Why, in one line without a word of the prompt."""
    candidate: TargetName | None = None
    """The canary's target, where the request was drawn for it; whoever pays for it, the workload has named it."""


class RouteQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What a session asks for: permission for one attempt."""

    request_id: str
    workload: Workload
    surface: Surface
    number: int = 1
    """Which attempt of the request this is, from 1."""
    tried: tuple[TargetName, ...] = ()
    """Targets that this request has already tried; they are not chosen again."""
    deadline: float = float("inf")
    """Until when the caller would wait, on the monotonic clock."""
    last_resort: TargetName | None = None
    """A target that has failed once and may be asked again where no other can take the request."""
    elsewhere: bool = True
    """Whether targets other than `last_resort` may be chosen."""
    fallback_on: tuple[Fault, ...] = ()
    """The faults by which a target that comes first may be passed over."""
    needs: Needs = Needs()
    more_than: int = 0
    """Tokens that the context window must be known to exceed, 0 where that does not matter."""
    max_tokens: int | None = None
    """How long the answer may be at most, where the request says so."""
    streamed: bool = False
    """Whether the answer shows its first token before its last."""
    desperate: bool = False
    """Whether even ejected targets may be chosen: waiting is over, and nothing else is there."""
    may_hedge: bool = False
    """Whether a second target may be asked too while the chosen one says nothing."""
    hedges: UnderWay | None = None
    """The attempt that this one is to race: it is granted at once, to a proven target, or refused."""
    tokens: int = 0
    """Estimated tokens of the request, for limits that count them and for what it costs."""
    preference: Preference = Preference()
    """Which targets come first by what the request is."""
    frugal: bool = False
    """Whether money is short: the cheapest target is wanted, whatever the strategy."""
    billing: str | None = None
    """The account that may pay, None where any may."""
    escalated: str = ""
    """What an earlier answer lacks, where this attempt is to better it."""
    instead_of: int = 0
    """The ticket of a lease that ends once this one is granted; 0 for none."""

    @property
    def kind(self) -> Hashable:
        """What it has in common with those that the same targets can take, sizes within a factor of two."""
        workload = self.workload
        terms = (workload.targets, workload.strategy, self.surface, self.tried, self.last_resort, self.elsewhere)
        return (
            *terms,
            self.tokens.bit_length(),
            self.fallback_on,
            self.needs,
            self.more_than,
            self.frugal,
            self.billing,
            self.instead_of,
        )


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One decision of the dispatcher and everything it was made from."""

    chosen: TargetName | None
    strategy: str
    reason: str
    candidates: tuple[Candidate, ...]
    seed: int
    answer_tokens: float = 0.0
    """How long the answer is expected to be."""
    primary: TargetName | None = None
    """The workload's primary path: what would be chosen were every target ready and free."""
    setting: Packable | None = None
    """What it was made from, to be recorded; None in a preview."""


class Departure(msgspec.Struct, frozen=True):
    """How things stood at a target when a request was sent to it."""

    in_flight: int = 1
    """How many it had, this one included."""
    idle_s: float = 0.0
    """Seconds without a request before it; 0.0 where one was under way, or none ever was."""
    answer_tokens: float = 0.0
    """How long its answer was expected to be."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Permission for one attempt at one target; whoever holds it gives it back."""

    ticket: int
    target: TargetName
    choice: Choice
    waited_s: float = 0.0
    """How long the request stood in the queue."""
    departure: Departure = Departure()
    hedge_after_s: float | None = None
    """Seconds after the grant at which a hedge is worth it, None for never."""
    ordinal: int = 0
    """Which grant at this target it is, from 1; 0 where nobody counted."""
    tokens_sent: int = 0
    """Estimated tokens sent to this target by then, its own included."""
    tokens: int = 0
    """Its own estimated tokens."""
    trial: bool = False
    """Whether it finds out if a guessed block is over."""


class NoLeaseReason(StrEnum):
    """Why no attempt is possible."""

    NO_TARGET = "no_target"
    """Nothing is ready now, and nothing became ready within the wait."""
    EXHAUSTED = "exhausted"
    """Every target that could serve the request has been tried."""
    QUEUE_FULL = "queue_full"
    INCOMPATIBLE = "incompatible"
    """No target of the workload speaks the request's dialect."""
    TOO_LONG = "too_long"
    """No target is known to have a context window for it."""
    NO_HEDGE = "no_hedge"
    """A second attempt beside the first would not pay, has nobody to go to, or is beyond the budget."""


class NoLease(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal, as a value."""

    reason: NoLeaseReason
    choice: Choice
    retry_after_s: float | None = None
    """Seconds until a target may be ready again, where that is known."""
    waited_s: float = 0.0


class LeaseRequested(msgspec.Struct, frozen=True, kw_only=True):
    """A session wants a lease. `ticket` is unique in the process and chosen by the session."""

    ticket: int
    query: RouteQuery
    reply: Reply[Lease | NoLease]


class LeaseReleased(msgspec.Struct, frozen=True, kw_only=True):
    """A session is done with its lease, or has stopped waiting for it. Unknown tickets are ignored."""

    ticket: int


class RoutePreviewRequested(msgspec.Struct, frozen=True, kw_only=True):
    """Which target would this query get now? Nothing is leased, queued or counted."""

    query: RouteQuery
    reply: Reply[Choice]


class DispatcherView(msgspec.Struct, frozen=True, kw_only=True):
    """What the dispatcher holds at one moment."""

    snapshot: HealthSnapshot
    routes: Routes
    in_flight: Mapping[TargetName, int]
    waiting: Mapping[str, int]
    """Waiting requests by workload."""
    sent: Mapping[TargetName, int] = msgspec.field(default_factory=dict)
    """Requests sent to each target since the start."""
    tokens_sent: Mapping[TargetName, int] = msgspec.field(default_factory=dict)
    """Estimated tokens of them."""


class ViewRequested(msgspec.Struct, frozen=True, kw_only=True):
    """Show what you hold: for status, readiness and metrics."""

    reply: Reply[DispatcherView]


class RoutesReplaced(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration came into force."""

    routes: Routes


DispatcherMessage = (
    LeaseRequested | LeaseReleased | RoutePreviewRequested | ViewRequested | RoutesReplaced | HealthPublished
)
