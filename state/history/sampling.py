"""Which choices are recorded when there are more of them than the history should hold."""

from __future__ import annotations

import msgspec

__all__ = ["Sampling", "sample"]


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """Where the sampling of choices stands."""

    second: int = 0
    """The second of the monotonic clock that is being counted."""
    seen: int = 0
    """Choices in that second."""
    kept: int = 0
    """How many of them were recorded."""
    stride: int = 1
    """One in so many is recorded."""
    skipped: int = 0
    """Choices since the last one that was recorded: the next recorded one stands for these too."""


def sample(sampling: Sampling, at: float, per_second: int) -> tuple[Sampling, int]:
    """Return the next state, and how many choices this one stands for: 0 where it is not recorded.

    Up to `per_second` choices a second each is recorded. Above that one in so many, by the last second's count, and the
    stride doubles each time a second has recorded its `per_second` again: a sudden burst is thinned at once. What the
    recorded choices stand for adds up to all choices, so counts stay right.
    """
    if per_second <= 0:
        return sampling, 0
    if int(at) != sampling.second:
        sampling = _next_second(sampling, int(at), per_second)
    if sampling.skipped + 1 < sampling.stride:
        return msgspec.structs.replace(sampling, seen=sampling.seen + 1, skipped=sampling.skipped + 1), 0
    kept = sampling.kept + 1
    stride = sampling.stride * 2 if kept % per_second == 0 else sampling.stride
    after = Sampling(second=sampling.second, seen=sampling.seen + 1, kept=kept, stride=stride)
    return after, sampling.skipped + 1


def _next_second(sampling: Sampling, second: int, per_second: int) -> Sampling:
    """Begin a second whose stride suits what the one just before it saw."""
    seen = sampling.seen if second == sampling.second + 1 else 0
    stride = max(1, -(-seen // per_second))
    return Sampling(second=second, stride=stride, skipped=sampling.skipped)
