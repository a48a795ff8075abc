"""Mailboxes: the only way that one actor says anything to another.

`Address.post` is synchronous and never waits, so that what must be said in a `finally` cannot be cancelled away.
A bounded mailbox that is full refuses the message and counts it: the sender decides nothing, the owner sees the count.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import TYPE_CHECKING, Generic, TypeVar

from state.pulse import Pulse

if TYPE_CHECKING:
    import anyio

__all__ = ["Address", "Mailbox", "Reply"]

T = TypeVar("T")
M = TypeVar("M")


@cache
def _event_type() -> type[anyio.Event]:
    """Return what `anyio.Event()` makes here: anyio looks its backend up for each one, at 10 µs."""
    import anyio  # noqa: PLC0415 - a verb may need the words of the dispatcher, and never a mailbox

    return type(anyio.Event())


class Reply(Generic[T]):
    """A one-shot answer that travels inside a message: the asker waits, the actor sends once."""

    __slots__ = ("_arrived", "_value")

    def __init__(self) -> None:
        """Start unanswered."""
        self._arrived = _event_type()()
        self._value: T

    def send(self, value: T) -> None:
        """Answer. A second answer is a bug and raises RuntimeError."""
        if self._arrived.is_set():
            message = "this reply has already been sent"
            raise RuntimeError(message)
        self._value = value
        self._arrived.set()

    @property
    def sent(self) -> bool:
        """Whether the answer is there."""
        return self._arrived.is_set()

    async def wait(self) -> T:
        """Return the answer, once it has been sent."""
        await self._arrived.wait()
        return self._value


class Mailbox(Generic[M]):
    """A queue with exactly one reader: the actor that made it.

    `capacity` is how many messages may wait, None for as many as come.
    """

    def __init__(self, capacity: int | None = None) -> None:
        """Start empty."""
        self._waiting: deque[M] = deque()
        self._capacity = capacity
        self._arrival: anyio.Event | None = None
        self._awaited: type = object
        self._dropped = 0
        self.pulse = Pulse(self._wake)
        """Answered by the reader whenever it comes to see what waits."""

    def __len__(self) -> int:
        """How many messages wait."""
        return len(self._waiting)

    def __repr__(self) -> str:
        """Show what waits and what was dropped."""
        return f"<Mailbox waiting={len(self._waiting)} capacity={self._capacity} dropped={self._dropped}>"

    @property
    def address(self) -> Address[M]:
        """What others hold of this mailbox: they can post, and no more."""
        return Address(self)

    def take_dropped(self) -> int:
        """Return how many messages a full mailbox refused since the last call, and start counting anew."""
        dropped, self._dropped = self._dropped, 0
        return dropped

    def put(self, message: M) -> bool:
        """Add a message, or count it as dropped and return False where the mailbox is full."""
        if self._capacity is not None and len(self._waiting) >= self._capacity:
            self._dropped += 1
            return False
        self._waiting.append(message)
        if self._arrival is not None and isinstance(message, self._awaited):
            self._arrival.set()
        return True

    async def arrival(self, kind: type = object) -> None:
        """Wait until a message of a kind waits, or until a pulse is asked for; cancelling this wait loses nothing."""
        self.pulse.answer()
        if not any(isinstance(message, kind) for message in self._waiting):
            self._arrival, self._awaited = _event_type()(), kind
            try:
                await self._arrival.wait()
            finally:
                self._arrival = None

    def take_all(self) -> list[M]:
        """Return every waiting message, oldest first, without waiting."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    async def next(self) -> M:
        """Wait for the oldest message and return it."""
        await self.arrival()
        while not self._waiting:  # it was woken for its pulse
            await self.arrival()
        return self._waiting.popleft()

    def _wake(self) -> None:
        if self._arrival is not None:
            self._arrival.set()


class Address(Generic[M]):
    """The right to post to one mailbox."""

    __slots__ = ("_mailbox",)

    def __init__(self, mailbox: Mailbox[M]) -> None:
        """Point at `mailbox`."""
        self._mailbox = mailbox

    def post(self, message: M) -> bool:
        """Leave a message and return at once; False where the mailbox was full and the message was dropped."""
        return self._mailbox.put(message)
