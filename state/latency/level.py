"""One level of a target: a length of time on a logarithmic scale, as a Kalman filter that survives stragglers.

What was believed long ago is believed less: the variance grows with time. A lone straggler is clipped, a second one of
the same sign is a change point and moves the level at once.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

__all__ = ["Level", "doubted", "expected", "learned", "p99", "sure_until", "variance_at"]

_exp = math.exp
_sqrt = math.sqrt
_GROWTH: Final = 0.0008
"""How much a second adds to the variance: after ten minutes nearly half of what a stranger's is."""
_STRANGE: Final = 1.0
"""The variance of what nobody has seen: a factor of e either way."""
_OUTLIER_SD: Final = 3.0
_RUN_OF_CHANGE: Final = 2
_NOISE_RATE: Final = 0.05
_NOISE_RANGE: Final = (0.01, 0.4)
_TAIL_RATE: Final = 0.03
_TAIL_RANGE: Final = (1.0, 3.0)
_LONGEST_TAIL: Final = 8.0
_TAIL: Final = 1.05
_SURE: Final = 0.02
"""A variance below this is no reason to be curious."""
_CURIOSITY: Final = 0.5
_P99: Final = 2.326
"""The 99th percentile of a standard normal distribution."""
_MOST_DOUBT: Final = 4.0
"""A first observation that is doubted more moves the level, and does not make it."""
_SHORTEST_S: Final = 1e-6
_LONGEST_S: Final = 1e9
"""No clock measures less or more: within these every figure that follows is finite."""


class Level(msgspec.Struct, frozen=True):
    """What is believed of one length of time. Constants: measured in a simulation over 76 traces, tuned on none."""

    mean: float
    """Of the logarithm of seconds."""
    variance: float = _STRANGE
    """How unsure the mean is, at `at`."""
    noise: float = 0.1
    """How much single observations scatter."""
    tail: float = _TAIL
    """How much longer the average is than the median."""
    run: int = 0
    """Outliers in a row: positive above, negative below."""
    at: float = 0.0
    """When it was observed last, monotonic seconds."""
    count: int = 0
    steady: int = 0
    """Observations since it last turned out to be another than believed."""


def variance_at(level: Level, now: float) -> float:
    """Return how unsure the mean is at `now`: what is stale is uncertain."""
    return min(_STRANGE, level.variance + _GROWTH * max(0.0, now - level.at))


def learned(level: Level, seconds: float, at: float, doubt: float = 1.0) -> Level:
    """Return the level after an observation of `seconds`; `doubt` above 1 makes it weaker evidence."""
    seconds = min(max(seconds, _SHORTEST_S), _LONGEST_S)
    log = math.log(seconds)
    if not level.count and doubt <= _MOST_DOUBT:
        return Level(log, level.noise * doubt, level.noise, level.tail, 0, at, 1)
    variance = variance_at(level, at)
    noise = level.noise * doubt
    off = log - level.mean
    sd = math.sqrt(variance + noise)
    run, tail = 0, level.tail
    if level.count and abs(off) > _OUTLIER_SD * sd:
        run = (level.run if level.run * off > 0 else 0) + (1 if off > 0 else -1)
        if abs(run) >= _RUN_OF_CHANGE:
            gain = off * off / (off * off + noise)
            halved = _TAIL + (tail - _TAIL) / 2
            mean, left = level.mean + gain * off, off * off * (1 - gain)
            return Level(mean, left, level.noise, halved, 0, at, level.count + 1, 0)
        off = math.copysign(_OUTLIER_SD * sd, off)
    spread = level.noise + _NOISE_RATE * (min(off * off, 4 * level.noise) - level.noise)
    tail += _TAIL_RATE * (min(_LONGEST_TAIL, seconds / math.exp(level.mean)) - tail)
    gain = variance / (variance + noise)
    return Level(
        level.mean + gain * off,
        variance * (1 - gain),
        _within(spread, _NOISE_RANGE),
        _within(tail, _TAIL_RANGE),
        run,
        at,
        level.count + 1,
        level.steady + 1,
    )


def doubted(level: Level, at: float, least: float = 0.5) -> Level:
    """Return the level with a variance of at least `least`: something happened, and it may be another now."""
    variance = variance_at(level, at)
    return level if variance >= least else msgspec.structs.replace(level, variance=least, at=max(at, level.at))


def expected(level: Level, now: float) -> float:
    """Return the mean seconds to expect, a little less where they are uncertain: the unsure is worth a look."""
    unsure = level.variance + _GROWTH * (now - level.at) - _SURE
    if unsure <= 0.0:
        return _exp(level.mean) * level.tail
    return _exp(level.mean - _CURIOSITY * _sqrt(min(_STRANGE - _SURE, unsure))) * level.tail


def sure_until(level: Level) -> float:
    """Return until when the mean is believed without curiosity, monotonic seconds."""
    return level.at + (_SURE - level.variance) / _GROWTH


def p99(level: Level, now: float) -> float:
    """Return the seconds that 99 in 100 stay below."""
    return math.exp(level.mean + _P99 * math.sqrt(variance_at(level, now) + level.noise))


def _within(value: float, bounds: tuple[float, float]) -> float:
    return max(bounds[0], min(bounds[1], value))
