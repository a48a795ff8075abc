"""The settings of a cascade: what the answer of a cheaper target must be for a costlier one not to be asked."""

from __future__ import annotations

import msgspec

from state.durations import Seconds

__all__ = ["CascadePolicy"]


class CascadePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes an answer not do. The patterns and the command are the operator's own, and trusted as such."""

    refusals: bool = True
    """Whether an answer that declines does not do."""
    empty: bool = True
    """Whether an answer without a word, and without a tool call, does not do."""
    min_chars: int = 0
    """A shorter text does not do."""
    schema: bool = True
    """Whether it must be the JSON that was asked for, and call only tools that were offered."""
    min_logprob: float | None = None
    """The least mean log-probability of its tokens; judged only where the provider gives them."""
    must_match: str = ""
    """A pattern that its text must hold."""
    must_not_match: str = ""
    """A pattern that its text must not hold."""
    command: tuple[str, ...] = ()
    """A program that reads the text and ends with 0 where it does."""
    timeout: Seconds = Seconds(2)
    """For the command; after it the answer does."""
    hold_back: int = 400
    """How many characters of a stream are held back and judged; 0 lets streams pass unjudged."""
