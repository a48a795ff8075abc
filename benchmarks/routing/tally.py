"""What is counted while a policy runs."""

from __future__ import annotations

import msgspec

from benchmarks.routing.arrivals import Request

__all__ = ["Choice", "Settled", "Tally"]


class Choice(msgspec.Struct, frozen=True):
    """Where a request was sent first, and when, in seconds."""

    at: float
    provider: int


class Settled(msgspec.Struct, frozen=True):
    """How a request ended for its client, `latency_s` after it arrived."""

    latency_s: float
    served: bool


class Tally:
    """One policy's run."""

    def __init__(self, requests: int) -> None:
        """Expect so many requests."""
        self.open = requests
        self.settled: dict[int, Settled] = {}
        self.first_choices: list[Choice] = []
        self.sends = 0
        self.hedges = 0
        self.hedged: set[int] = set()
        self.probes = 0
        self.probe_usd = 0.0
        self.usd = 0.0
        self._attempts: dict[int, int] = {}

    def sent(self, request: Request | None, provider: int, now: float) -> int:
        """Count an attempt and return which of its request's it is; a probe is always the first."""
        if request is None:
            self.probes += 1
            return 1
        number = self._attempts.get(request.index, 0) + 1
        self._attempts[request.index] = number
        self.sends += 1
        if number == 1:
            self.first_choices.append(Choice(now, provider))
        return number

    def settle(self, request: Request, now: float, served: bool) -> None:  # noqa: FBT001 - the engine's own word
        """Take note of a request's end; a second one is a policy's mistake."""
        if request.index in self.settled:
            raise ValueError(f"request {request.index} was settled twice")
        self.settled[request.index] = Settled(now - request.at, served)
        self.open -= 1

    def bill(self, request: Request | None, usd: float) -> None:
        """Add the price of an attempt."""
        self.usd += usd
        if request is None:
            self.probe_usd += usd
