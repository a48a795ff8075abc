"""The line: those who wait for a lease, in the order in which they came, whatever their workload."""

from __future__ import annotations

from collections import Counter

import msgspec

from daemon.routing.leases import LeaseRequested, RouteQuery
from state.targets import provider_of

__all__ = ["Line", "Waiter"]


class Waiter(msgspec.Struct, frozen=True):
    """A request in line. Times are monotonic seconds."""

    request: LeaseRequested
    since: float
    deadline: float


class Line:
    """Everybody who waits. Belongs to one owner, who alone calls it.

    One line for all workloads: where they share a provider, who came first is served first, and none can starve
    another. How many of a workload may wait is its owner's to say.
    """

    def __init__(self) -> None:
        """Start with nobody."""
        self._waiters: dict[int, Waiter] = {}
        self._lengths: Counter[str] = Counter()
        self._wanted: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiters)

    @property
    def lengths(self) -> dict[str, int]:
        """How many of each workload wait; those of which nobody does are not named."""
        return dict(+self._lengths)

    def length(self, workload: str) -> int:
        """Return how many of one workload wait."""
        return self._lengths[workload]

    def oldest_first(self) -> list[Waiter]:
        """Return those who wait, in the order in which they came."""
        return list(self._waiters.values())

    def join(self, waiter: Waiter) -> None:
        """Put somebody at the end."""
        query = waiter.request.query
        self._waiters[waiter.request.ticket] = waiter
        self._lengths[query.workload.name] += 1
        self._wanted.update(_wanted(query))

    def leave(self, ticket: int) -> None:
        """Let somebody go. Who does not wait is ignored."""
        waiter = self._waiters.pop(ticket, None)
        if waiter is None:
            return
        query = waiter.request.query
        self._lengths[query.workload.name] -= 1
        self._wanted.subtract(_wanted(query))

    def stands_before(self, query: RouteQuery) -> bool:
        """Return whether somebody waits for a provider that `query` may go to as well."""
        return bool(self._waiters) and any(self._wanted[provider] for provider in _wanted(query))


def _wanted(query: RouteQuery) -> frozenset[str]:
    """Return the providers that may take the request."""
    return frozenset(provider_of(target) for target in query.workload.targets if target not in query.tried)
