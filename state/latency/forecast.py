"""What an estimator says of the next request, computed once for all choices until the next evidence."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from state.latency.estimator import NEWCOMER, Estimator
from state.latency.level import sure_until

__all__ = ["Forecast", "forecast_of"]


class Forecast(msgspec.Struct, frozen=True):
    """Seconds to expect, while nothing else is known of the moment."""

    first_s: float
    """To the first token, good until `sure_until`."""
    sure_until: float
    """From when on the first token's level is unsure, monotonic seconds."""
    token_s: float
    """For each output token."""
    simple: bool
    """Whether neither a queue nor a cold start was ever seen."""


def forecast_of(estimator: Estimator) -> Forecast:
    """Return what `estimator` says."""
    first, pace = estimator.first, estimator.pace
    if estimator is NEWCOMER:
        return _NEWCOMER
    simple = not estimator.knee.known and math.isinf(estimator.cold.gap_s)
    return Forecast(math.exp(first.mean) * first.tail, sure_until(first), math.exp(pace.mean) * pace.tail, simple)


_NEWCOMER: Final = Forecast(
    math.exp(NEWCOMER.first.mean) * NEWCOMER.first.tail,
    sure_until(NEWCOMER.first),
    math.exp(NEWCOMER.pace.mean) * NEWCOMER.pace.tail,
    simple=True,
)
