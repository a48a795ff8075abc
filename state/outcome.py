"""What an attempt or a probe did, as a frozen value."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from state.faults import FAULT_RULES, Blame, Fault, Scope
from state.quota import Headroom

__all__ = ["Outcome", "ProbeKind", "Usage", "Work"]


class ProbeKind(StrEnum):
    """The three active checks, from the one that says least to the one that costs tokens."""

    LIVENESS = "liveness"
    CATALOG = "catalog"
    CANARY = "canary"


class Work(StrEnum):
    """What a request asked its target to do: what it proves, and what its time says."""

    GENERATE = "generate"
    """Write an answer: what everything is judged by."""
    EMBED = "embed"
    """Compute embeddings: proof that the target serves, and no measure of how fast it writes."""
    COUNT = "count"
    """Count tokens: it says who can be reached, as a listing does, not who can serve."""


class Usage(msgspec.Struct, frozen=True):
    """Tokens that a provider says it counted; None where it said nothing."""

    prompt_tokens: int | None = None
    """All of the input, with what came from a cache or went into one."""
    completion_tokens: int | None = None
    """All of the output, reasoning included."""
    cached_tokens: int | None = None
    """The part of the input that was read from a cache."""
    cache_write_tokens: int | None = None
    """The part of the input that was written to a cache, for five minutes or as long as the provider likes."""
    cache_write_1h_tokens: int | None = None
    """The part of the input that was written to a cache for an hour."""
    tier: str = ""
    """The service tier in which the provider says it answered, such as `batch` or `flex`; empty where it said none."""

    def plus(self, more: Usage) -> Usage:
        """Return the tokens of both together, in the tier of the later."""
        return Usage(
            _sum(self.prompt_tokens, more.prompt_tokens),
            _sum(self.completion_tokens, more.completion_tokens),
            _sum(self.cached_tokens, more.cached_tokens),
            _sum(self.cache_write_tokens, more.cache_write_tokens),
            _sum(self.cache_write_1h_tokens, more.cache_write_1h_tokens),
            more.tier or self.tier,
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one + (other or 0)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt or probe did. `fault is None` means that it succeeded."""

    fault: Fault | None = None
    status: int | None = None
    """The provider's HTTP status, None where none arrived."""
    reason: str = ""
    """One short line for logs and headers; never prompt, answer or secret."""
    first_byte_s: float | None = None
    """Seconds from sending to the first content byte."""
    latency_s: float = 0.0
    """Seconds from sending to the end."""
    retry_after_s: float | None = None
    """Seconds that the provider asked to wait, already checked and capped."""
    headroom: Headroom | None = None
    """What the answer told of the provider's limits, None where it told nothing."""
    streamed: bool = False
    tokens: int | None = None
    """Output tokens, as the provider counted or as their text suggests; None where unknown."""
    usage: Usage = Usage()
    """What the provider counted for this attempt alone, so far."""
    said: float = 0.0
    """About how many output tokens had come where the provider had not counted them to the end, else 0."""
    at_fault: Blame | None = None
    """Whose failure it was, where that is not the usual one of its fault."""
    reaches: Scope | None = None
    """What else it speaks of, where that is not the usual of its fault."""

    @property
    def blame(self) -> Blame | None:
        """Whose failure it was, None for a success."""
        return None if self.fault is None else self.at_fault or FAULT_RULES[self.fault].blame

    @property
    def scope(self) -> Scope:
        """What else the outcome speaks of besides its target; a success proves no more than its own."""
        return Scope.TARGET if self.fault is None else self.reaches or FAULT_RULES[self.fault].scope

    @property
    def counts(self) -> bool:
        """Whether it says anything of the target: what a caller or fairlead itself did says nothing."""
        return self.blame not in {Blame.CALLER, Blame.OURSELVES}

    @property
    def succeeded(self) -> bool:
        """Whether the target did what was asked of it."""
        return self.fault is None
