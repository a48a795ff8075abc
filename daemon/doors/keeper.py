"""The doorkeeper: who is connected, what their bodies take up, and whom patience is over with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

import anyio
import anyio.lowlevel
import msgspec
import structlog

from daemon.doors.guard.descriptors import LINGERING
from daemon.doors.guard.larder import Larder
from daemon.doors.guard.policy import DoorPolicy, Reason
from daemon.doors.guard.roll import Guest, Roll
from daemon.doors.guard.turns import Turns
from state.durations import Seconds

__all__ = ["Counts", "Doorkeeper", "Tended"]

_log = structlog.get_logger("fairlead.server")
_SWEEP_S: Final = 0.5
_AT_ONCE: Final = 200
"""Connections are looked at so many at a time, some 0.2 ms; between them the loop serves."""
_LINGER_S: Final = 5.0
"""How long what a client still sends is swallowed after its refusal, so that it can read that, as in nginx."""
_APPETITE: Final = 8 * 2**20
"""How much of what nobody wants is read between two sweeps, from all together: some 3 ms of work."""
_SAY_EVERY_S: Final = 10.0
_QUIET_S: Final = 0.25
"""How long a kept connection is idle before it is closed at the end: a client may be sending its next request on it."""
_UNREAD_S: Final = 1.0
"""How long the end waits for clients of whom none reads on; a follower of events that does not would hold it up."""
_HURRY_S: Final = Seconds(2)
"""What a body may lag behind once the daemon ends."""


class Counts(Protocol):
    """Where what happens at the doors is counted."""

    def turned_away(self, reason: str) -> None:
        """Count a connection that was refused or ended."""
        ...


class Tended(Guest, Protocol):
    """A connection that the doorkeeper looks after."""

    parting_since: float | None

    def tend(self, now: float) -> int:
        """End it where patience is over; return how many bytes of an answer wait for its client to read."""
        ...

    def resume(self) -> None:
        """Read on, after having had to wait."""
        ...

    def abort(self) -> None:
        """Be done with it at once."""
        ...


class Doorkeeper:
    """Owns the roll and the larder. Its methods are called on a connection's own turn of the loop."""

    def __init__(self, policy: DoorPolicy, clock: Callable[[], float], counts: Counts) -> None:
        """Keep `policy`."""
        self.policy = policy
        self.clock = clock
        self.turns = Turns()
        self.unpacking = anyio.CapacityLimiter(1)
        self.larder = Larder(policy.buffered)
        self.ending = False
        """Whether each answer that begins from now on is the last of its connection."""
        self._counts = counts
        self._roll: Roll[Tended] = Roll(policy)
        self._parting: dict[Tended, None] = {}
        self._sated: dict[Tended, None] = {}
        self._appetite = _APPETITE
        self._unsaid: Counter[str] = Counter()
        self._said_at = -_SAY_EVERY_S
        self._work: anyio.Event | None = None

    @property
    def connections(self) -> int:
        """How many are connected."""
        return self._roll.count

    def welcome(self, guest: Tended) -> Reason | None:
        """Take `guest` in, or return why not."""
        if self._work is not None:
            self._work.set()
        reason = self._roll.welcome(guest, self.clock())
        if reason is not None:
            self.count(reason)
        return reason

    def count(self, reason: Reason) -> None:
        """Count a connection that is refused or ended for `reason`; the log has a line every ten seconds."""
        self._counts.turned_away(reason.value)
        self._unsaid[reason.value] += 1

    def parts(self, guest: Tended) -> bool:
        """Let `guest` linger until it has read its refusal; return False where too many do already."""
        self._roll.leave(guest)
        if len(self._parting) >= LINGERING:
            return False
        self._parting[guest] = None
        return True

    def swallow(self, guest: Tended, size: int) -> bool:
        """Let `guest` send `size` bytes that nobody wants; return False where it is to wait: there are too many."""
        self._appetite -= size
        if self._appetite > 0:
            return True
        self._sated[guest] = None
        return False

    def is_sated(self, guest: Tended) -> bool:
        """Return whether `guest` is to wait before it sends more that nobody wants."""
        return guest in self._sated

    def gone(self, guest: Tended) -> None:
        """Forget `guest`, whose connection is closed."""
        self._roll.leave(guest)
        self._parting.pop(guest, None)
        self._sated.pop(guest, None)

    def hurry(self) -> None:
        """Have less patience with bodies and keep no connection from now on: the daemon ends."""
        self.ending = True
        body = min(self.policy.body_timeout, _HURRY_S)
        self.policy = msgspec.structs.replace(self.policy, body_timeout=body)

    async def quiet(self) -> None:
        """Wait until nobody seems about to ask, and nobody reads on: closing a connection then fails no request."""
        left: list[int] = []
        since = self.clock()
        while self._somebody_may_ask():
            waiting = [guest.tend(self.clock()) for guest in self._roll.everyone() if guest.idle_since is None]
            if waiting != left or not all(waiting):
                left, since = waiting, self.clock()
            if self.clock() - since > _UNREAD_S:
                return
            await anyio.sleep(_QUIET_S / 5)

    def _somebody_may_ask(self) -> bool:
        idle = (guest.idle_since for guest in self._roll.everyone())
        return any(since is None or self.clock() - since < _QUIET_S for since in idle)

    def close(self) -> None:
        """Be done with everybody who is still there."""
        for guest in (*self._roll.everyone(), *self._parting):
            guest.abort()

    async def run(self) -> None:
        """Look after connections while there are any, and sleep without waking otherwise."""
        while True:
            if not self._roll.count and not self._parting:
                self._work = anyio.Event()
                await self._work.wait()
                self._work = None
            await anyio.sleep(_SWEEP_S)
            await self._sweep()

    async def _sweep(self) -> None:
        unread: list[tuple[int, Tended]] = []
        for number, guest in enumerate(self._roll.everyone(), 1):
            if waiting := guest.tend(self.clock()):
                unread.append((waiting, guest))
            if number % _AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
        self._relieve(unread)
        now = self.clock()
        for guest in [one for one in self._parting if now - (one.parting_since or now) > _LINGER_S]:
            guest.abort()
        self._digest()
        self.larder.tidy()
        self._say(now)

    def _digest(self) -> None:
        self._appetite = _APPETITE
        sated, self._sated = self._sated, {}
        for guest in sated:
            guest.resume()

    def _relieve(self, unread: list[tuple[int, Tended]]) -> None:
        """Hold no more of unread answers than of bodies: the largest go first."""
        total = sum(size for size, _ in unread)
        for size, guest in sorted(unread, key=lambda one: -one[0]):
            if total <= self.policy.buffered:
                return
            total -= size
            self.count(Reason.BUFFERS_FULL)
            guest.abort()

    def _say(self, now: float) -> None:
        if self._unsaid and now - self._said_at >= _SAY_EVERY_S:
            self._said_at = now
            _log.warning("connections_refused", reasons=dict(self._unsaid), connections=self._roll.count)
            self._unsaid.clear()
