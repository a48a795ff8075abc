"""Who is connected, how many of each peer, and who makes room where there is none."""

from __future__ import annotations

import heapq
from collections import deque
from typing import Final, Generic, Protocol, TypeVar

from daemon.doors.guard.policy import DoorPolicy, Reason

__all__ = ["Guest", "Roll"]

_LOOKED_FOR: Final = 64
"""Candidates are looked up so many at a time: one look through all connections serves as many newcomers."""
_LOOK_AGAIN_S: Final = 0.05
"""Where nobody was idle, newcomers are refused for so long without another look."""


class Guest(Protocol):
    """One connection."""

    peer: str

    @property
    def idle_since(self) -> float | None:
        """Since when it has had no request under way; None while it has one."""
        ...

    def displace(self) -> None:
        """End it: another takes its place."""
        ...


G = TypeVar("G", bound=Guest)


class Roll(Generic[G]):
    """Counts guests. Owned by the doorkeeper, and called on a connection's own turn."""

    def __init__(self, policy: DoorPolicy) -> None:
        """Start with nobody there."""
        self._policy = policy
        self._guests: dict[str, dict[G, None]] = {}
        self._leavers: dict[str, deque[G]] = {}
        self._hopeless: dict[str, float] = {}
        self.count = 0

    def welcome(self, guest: G, now: float) -> Reason | None:
        """Take `guest` in and return None, or return why not.

        Where a bound is reached, the longest idle connection of that peer makes room; where the bound is everybody's,
        one of the peer that has most.
        """
        theirs = self._guests.get(guest.peer, {})
        if len(theirs) >= self._policy.max_connections_per_peer and not self._make_room(guest.peer, now):
            return Reason.PEER_FULL
        if self.count >= self._policy.max_connections and not self._make_room(self._greediest(), now):
            return Reason.FULL
        self._guests.setdefault(guest.peer, {})[guest] = None
        self.count += 1
        return None

    def leave(self, guest: G) -> None:
        """Forget `guest`, if it is there."""
        theirs = self._guests.get(guest.peer)
        if theirs is None or guest not in theirs:
            return
        del theirs[guest]
        self.count -= 1
        if not theirs:
            del self._guests[guest.peer]
            self._leavers.pop(guest.peer, None)
            self._hopeless.pop(guest.peer, None)

    def everyone(self) -> list[G]:
        """Return all who are there."""
        return [guest for theirs in self._guests.values() for guest in theirs]

    def _greediest(self) -> str:
        return max(self._guests, key=lambda peer: len(self._guests[peer]), default="")

    def _make_room(self, peer: str, now: float) -> bool:
        leaver = self._leaver(peer, now)
        if leaver is None:
            return False
        self.leave(leaver)
        leaver.displace()
        return True

    def _leaver(self, peer: str, now: float) -> G | None:
        for _ in range(2):
            queue = self._leavers.get(peer, deque())
            while queue:
                guest = queue.popleft()
                if guest in self._guests[peer] and guest.idle_since is not None:
                    return guest
            if now < self._hopeless.get(peer, now):
                return None
            self._look(peer, now)
        return None

    def _look(self, peer: str, now: float) -> None:
        idle = [(since, guest) for guest in self._guests.get(peer, ()) if (since := guest.idle_since) is not None]
        longest = heapq.nsmallest(_LOOKED_FOR, idle, key=lambda one: one[0])
        self._leavers[peer] = deque(guest for _, guest in longest)
        if not longest:
            self._hopeless[peer] = now + _LOOK_AGAIN_S
