"""How often a target fails, and what a failure costs: weights that fade, so that the past does not judge for ever."""

from __future__ import annotations

import math
from typing import Final

import msgspec

__all__ = ["Reliability", "after_cut", "after_failure", "after_success"]

_exp = math.exp
_MEMORY_S: Final = 45.0
_CUT_MEMORY_S: Final = 120.0
_COST_RATE: Final = 0.3
_FIRST_COST_S: Final = 0.3
_PRIOR_FAULTS: Final = 0.01
_CUT_WEIGHT: Final = 3.0
_CUT_PRIOR: Final = 5.0
_RUN_PRIOR: Final = 2.0
_RUN_MEMORY_S: Final = 10.0


class Reliability(msgspec.Struct, frozen=True):
    """Weights of failures and of everything, at `at`. Source of the constants: facts/routing.md, section 1."""

    failed: float = 0.0
    total: float = 0.0
    failure_s: float = _FIRST_COST_S
    """How long a failure takes to show itself."""
    cuts: float = 0.0
    streams: float = 0.0
    at: float = 0.0
    run: int = 0
    """Failures in a row: the next one is likelier than the share of all says."""

    def error_share(self, now: float) -> float:
        """Return the share of requests that are expected to fail."""
        if not self.failed:
            return _PRIOR_FAULTS / (self.total + 1.0)
        left = _exp((self.at - now) / _MEMORY_S) if self.at < now else 1.0
        share = (self.failed * left + _PRIOR_FAULTS) / (self.total * left + 1.0)
        if not self.run:
            return share
        return max(share, self.run / (self.run + _RUN_PRIOR) * _exp(min(0.0, self.at - now) / _RUN_MEMORY_S))

    def cut_share(self, now: float) -> float:
        """Return the share of streams that are expected to break after content."""
        left = _exp(min(0.0, self.at - now) / _CUT_MEMORY_S)
        return self.cuts * left / (self.streams * left + _CUT_PRIOR)

    def mended(self, share: float) -> Reliability:
        """Return it with only `share` of its failures left: the target is another than the one that failed."""
        return msgspec.structs.replace(self, failed=self.failed * share, run=0)


def after_success(before: Reliability, at: float, streamed: float = 0.0, run: int = 0) -> Reliability:
    """Return it after an answer; `streamed` is 1.0 for a stream that came to its end.

    `run` failures in a row are left by it: those of requests that were sent after it.
    """
    return _later(before, at, (0.0, 1.0, 0.0, streamed), run)


def after_failure(before: Reliability, cost_s: float, at: float, weight: float = 1.0) -> Reliability:
    """Return it after a failure that took `cost_s` seconds to show itself."""
    after = _later(before, at, (weight, weight, 0.0, 0.0), before.run + 1)
    return msgspec.structs.replace(after, failure_s=after.failure_s + _COST_RATE * (cost_s - after.failure_s))


def after_cut(before: Reliability, at: float) -> Reliability:
    """Return it after a stream that broke after content: nothing can repair that, so it weighs more."""
    return _later(before, at, (_CUT_WEIGHT, _CUT_WEIGHT, 1.0, 1.0), before.run)


def _later(before: Reliability, at: float, gains: tuple[float, float, float, float], run: int) -> Reliability:
    at = max(at, before.at)
    left, cuts_left = math.exp((before.at - at) / _MEMORY_S), math.exp((before.at - at) / _CUT_MEMORY_S)
    failed, total, cuts, streams = gains
    return Reliability(
        before.failed * left + failed,
        before.total * left + total,
        before.failure_s,
        before.cuts * cuts_left + cuts,
        before.streams * cuts_left + streams,
        at,
        run,
    )
