"""What the recorder is asked to write: one frozen struct per table of the contract.

Times are seconds on the loop's monotonic clock; the recorder alone turns them into Unix milliseconds.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from state.faults import Fault
from state.history.charges import Charged, ChargeRow
from state.history.pruning import PruneRequested
from state.latency.belief import Belief
from state.mailbox import Reply
from state.outcome import Outcome, ProbeKind, Usage
from state.standing import Standing
from state.targets import TargetName

__all__ = [
    "AlertRow",
    "AttemptRow",
    "DecisionRow",
    "EstimateRow",
    "FallbackRow",
    "FlushRequested",
    "OperationRow",
    "Packable",
    "ProbeRow",
    "RecorderMessage",
    "RequestRow",
    "TransitionRow",
]


class Packable(Protocol):
    """A frozen value that becomes bytes when its row is written, and not before: who posts a row has no time for it."""

    def packed(self) -> bytes | None:
        """Return the bytes, None where it cannot be written."""
        ...


class ProbeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One active check that was made."""

    at: float
    target: TargetName
    kind: ProbeKind
    outcome: Outcome
    cost_usd: float | None = None


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """One client request, written when it has ended."""

    at: float
    """When it arrived."""
    request_id: str
    workload: str
    primary_target: TargetName | None
    served_by: TargetName | None
    attempts: int
    outcome: str
    """`ok`, `cancelled` (the client left), `cut` (broke after content), `failed`, or `refused` (never attempted)."""
    fault: Fault | None = None
    status: int
    """The HTTP status that the client got."""
    degraded: str | None = None
    first_byte_s: float | None = None
    latency_s: float
    usage: Usage = Usage()
    cost_usd: float | None = None
    """Of all its attempts; None where that of one is unknown."""
    best_usd: float | None = None
    """What the same tokens would have cost at the workload's costliest target."""
    team: str | None = None
    user: str | None = None
    purpose: str = "client"
    label: str | None = None
    """What routing took it for: a tier, a task, `canary`."""
    streamed: bool = False
    client_retry: int | None = None
    """How often the client itself had tried before, where it said so."""


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a request at one target, written when it has ended."""

    at: float
    """When it ended."""
    request_id: str
    number: int
    """1 for the first attempt."""
    target: TargetName
    outcome: Outcome
    hedge: bool = False
    """Whether it was sent beside one that said nothing."""
    charged: Charged = Charged()
    cost_usd: float | None = None
    """None where it is unknown."""
    cost_estimated: bool = False
    """Whether the provider counted nothing, and the cost is a guess."""


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One choice: enough to make it again."""

    at: float
    request_id: str
    number: int
    chosen: TargetName | None
    strategy: str
    reason: str
    candidates: bytes
    """JSON: a list of each candidate's score terms, or why it was skipped."""
    seed: int
    setting: Packable | None = None
    """Everything that the choice was made from."""
    code: str | None = None
    """Which code made the choice."""


class FallbackRow(msgspec.Struct, frozen=True, kw_only=True):
    """One step from a target that failed, or was skipped, to the next."""

    at: float
    request_id: str
    workload: str
    from_target: TargetName
    to_target: TargetName
    fault: Fault | None
    status: int | None
    reason: str
    after_s: float
    """Seconds between the request's arrival and the step."""
    cost_usd: float | None = None
    """What the target that was left had cost by then."""


class TransitionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One change of standing."""

    at: float
    target: TargetName
    before: Standing
    after: Standing
    cause: str
    until: float | None
    """When the cooldown ends, for a target that starts cooling."""
    ejections: int = 0
    """How many ejections in a row the target has behind it: what its next cooldown grows from."""


class OperationRow(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator did."""

    at: float
    verb: str
    """`drain`, `resume`, `reload`, `probe` or `mock-fault`."""
    target: TargetName | None
    by: str
    reason: str = ""
    until: float | None = None


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator was told of at once."""

    at: float
    kind: str
    workload: str | None
    target: TargetName | None
    message: str


class EstimateRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is believed of a target's latency; the newest replaces the one before."""

    at: float
    target: TargetName
    belief: Belief


class FlushRequested(msgspec.Struct, frozen=True, kw_only=True):
    """Write everything that waits, now; the reply says whether it reached the file."""

    reply: Reply[bool]


RecorderMessage = (
    ProbeRow
    | RequestRow
    | AttemptRow
    | DecisionRow
    | FallbackRow
    | TransitionRow
    | OperationRow
    | AlertRow
    | EstimateRow
    | ChargeRow
    | FlushRequested
    | PruneRequested
)
