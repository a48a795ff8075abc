"""The keys of `[daemon]` that bound connections."""

from __future__ import annotations

from daemon.config.reading import Problems
from daemon.config.settings import DaemonSettings
from daemon.doors.guard.policy import DoorPolicy

__all__ = ["check_doors", "door_policy"]

_POSITIVE = (
    "max_head",
    "max_buffered",
    "max_connections",
    "max_connections_per_peer",
    "header_timeout",
    "body_timeout",
    "idle_timeout",
    "send_timeout",
    "min_rate",
)


def check_doors(settings: DaemonSettings, problems: Problems) -> None:
    """Note what is wrong with the bounds of connections: nothing would get through."""
    for key in _POSITIVE:
        if getattr(settings, key) <= 0:
            problems.add(("daemon", key), f"{key} must be more than nothing")


def door_policy(settings: DaemonSettings) -> DoorPolicy:
    """Return the bounds that `settings` name."""
    named = {key: getattr(settings, key) for key in (*_POSITIVE, "max_body")}
    return DoorPolicy(**named)
