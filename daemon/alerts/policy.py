"""When an operator is told, and how (`[alerts]`)."""

from __future__ import annotations

import msgspec

from state.durations import Seconds

__all__ = ["AlertPolicy"]


class AlertPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Alerts always reach the log, the history and `fairlead events`; this adds a webhook, a command, thresholds."""

    webhook: str = ""
    """An http or https URL that gets each alert as a POST of JSON. It may hold a token, and reaches no log."""
    command: tuple[str, ...] = ()
    """A program with its arguments that gets each alert as JSON on its standard input."""
    timeout: Seconds = Seconds(10)
    """For each try of the webhook, and for the command."""
    every: Seconds = Seconds(300)
    """The same alert is not given more often; the next one says how many were held back."""
    fallback_rate: float = 0.5
    """The share of a workload's requests that may fall back or fail within `window`."""
    window: Seconds = Seconds(300)
    min_requests: int = 20
    """Fewer requests in the window are no rate."""
