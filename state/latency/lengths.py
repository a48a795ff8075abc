"""How long answers are, in tokens: from what a request allows, and from experience."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["Lengths", "after_length"]

_FIRST_TOKENS: Final = 200.0
_FIRST_RATIO: Final = 0.5
_RATE: Final = 0.02


class Lengths(msgspec.Struct, frozen=True):
    """The experience of one workload."""

    unbound: float = _FIRST_TOKENS
    """Tokens of the answers to requests that state no limit."""
    ratio: float = _FIRST_RATIO
    """Tokens of an answer for each token of its request's limit."""
    unbound_count: int = 0
    bound_count: int = 0

    def expected(self, max_tokens: int | None) -> float:
        """Return the tokens that an answer is expected to have."""
        return self.unbound if max_tokens is None else self.ratio * max_tokens


def after_length(before: Lengths, tokens: int, max_tokens: int | None) -> Lengths:
    """Return the experience after an answer of `tokens`."""
    if max_tokens is None:
        count = before.unbound_count + 1
        unbound = before.unbound + max(_RATE, 1 / (count + 1)) * (tokens - before.unbound)
        return Lengths(unbound, before.ratio, count, before.bound_count)
    if max_tokens <= 0:
        return before
    count = before.bound_count + 1
    ratio = before.ratio + max(_RATE, 1 / (count + 1)) * (min(1.0, tokens / max_tokens) - before.ratio)
    return Lengths(before.unbound, ratio, before.unbound_count, count)
