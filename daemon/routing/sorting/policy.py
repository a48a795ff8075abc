"""How a workload sorts its requests: by tier, by task, by a draw; and what becomes of a copy of them."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from state.durations import Seconds
from state.targets import TargetName

__all__ = ["Canary", "Classifier", "OverMaxInput", "Shadow", "Task", "Tiers"]


class Classifier(StrEnum):
    """Who says how hard a request is."""

    HEURISTIC = "heuristic"
    """A rule that reads the request, within microseconds."""
    MODEL = "model"
    """A workload that is asked for it; where it does not answer well, the heuristic decides."""


class OverMaxInput(StrEnum):
    """What becomes of a request that is longer than `max_input_tokens`."""

    REFUSE = "refuse"
    LARGER = "larger"
    """It goes to a target whose context window is known to be larger than it."""


class Tiers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The targets for requests of each difficulty. A tier without any leaves its requests to the next one above."""

    simple: tuple[TargetName, ...] = ()
    moderate: tuple[TargetName, ...] = ()
    complex: tuple[TargetName, ...] = ()

    @property
    def targets(self) -> tuple[TargetName, ...]:
        """All of them, the simplest tier's first."""
        return tuple(dict.fromkeys((*self.simple, *self.moderate, *self.complex)))


class Task(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of request that has targets of its own: one that fulfils every condition that is given."""

    name: str
    header: str = ""
    """The value of the request's `fairlead-task`."""
    system: str = ""
    """A regular expression that is found in the system prompt."""
    tool: str = ""
    """The name of a tool that the request offers."""
    targets: tuple[TargetName, ...]

    @property
    def conditions(self) -> tuple[str, ...]:
        """What must be fulfilled; without any it is every request's task."""
        return tuple(filter(None, (self.header, self.system, self.tool)))


class Canary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A candidate that answers some of a workload's requests."""

    target: TargetName
    share: float
    """Of the workload's requests, in (0, 1]."""


class Shadow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A candidate that is sent copies of a workload's requests, and whose answers are only compared."""

    target: TargetName
    share: float = 1.0
    """Of the workload's requests, in (0, 1]."""
    max_in_flight: int = 4
    """How many copies may be under way; a request that comes on top of them is not copied."""
    timeout: Seconds = Seconds(60)
    """After which a copy is given up."""
