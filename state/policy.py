"""The settings of what is known: when a target is ejected, and how long history is kept."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from state.durations import Seconds

__all__ = ["CooldownPolicy", "EstimatorKind", "HealthPolicy", "HistoryPolicy"]


class EstimatorKind(StrEnum):
    """How a target's expected latency follows from its evidence."""

    ADAPTIVE = "adaptive"
    """First token, pace, queue and cold start apart, as `state.latency.estimator` has it."""
    MEAN = "mean"
    """The plain average of the last hundred latencies."""


class CooldownPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long an ejected target stays away: `base`, doubled for each ejection in a row, at most `max`."""

    base: Seconds = Seconds(1)
    max: Seconds = Seconds(60)


class HealthPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a target's faults eject it and its successes readmit it (`[health]`)."""

    fall: int = 3
    """Consecutive faults that eject."""
    rise: int = 1
    """Successful trials that readmit."""
    failure_ratio: float = 0.6
    """This share of the window ejects too, once `min_samples` are in it."""
    min_samples: int = 6
    window: Seconds = Seconds(45)
    cooldown: CooldownPolicy = CooldownPolicy()
    vouch: Seconds | None = None
    """After a cooldown, how long a passing canary is waited for before a request is tried; None for 15 s where the
    provider is probed by canaries, else not at all."""
    estimator: EstimatorKind = EstimatorKind.ADAPTIVE


class HistoryPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long rows stay, and how many choices are kept (`[history]`)."""

    keep_rows: Seconds = Seconds(30 * 86400)
    keep_decisions: Seconds = Seconds(7 * 86400)
    keep_rollups: Seconds = Seconds(400 * 86400)
    decisions_per_second: int = 50
    """Above this many choices a second only a sample is recorded, and each row says how many it stands for."""
    keep_backups: int = 2
    """How many copies from before a change of the history's schema are kept; 0 makes none."""
