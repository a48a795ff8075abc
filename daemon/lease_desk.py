"""What a session holds of the dispatcher: it asks for leases here, and always gives them back."""

from __future__ import annotations

import time
from itertools import count
from types import TracebackType
from typing import Protocol

from daemon.routing.leases import (
    Choice,
    DispatcherMessage,
    DispatcherView,
    Lease,
    LeaseReleased,
    LeaseRequested,
    NoLease,
    RoutePreviewRequested,
    RouteQuery,
    ViewRequested,
)
from state.mailbox import Address, Reply

__all__ = ["Counter", "Held", "LeaseDesk"]

_TICKETS = count(1)


class Counter(Protocol):
    """Where the dispatcher serves at once: its own methods, called on the session's turn of the loop.

    A request that needs no waiting costs no hop between tasks; whatever waits goes through the mailbox.
    """

    def grant(self, ticket: int, query: RouteQuery, now: float) -> Lease | NoLease | None:
        """Return a lease where nobody waits and a target is available at `now`, monotonic seconds; else None.

        A hedge, which never waits, is granted or refused.
        """
        ...

    def take_back(self, ticket: int, now: float) -> bool:
        """Take a lease back; False where somebody waits, who must hear of it through the mailbox."""
        ...

    def answered(self, ticket: int) -> None:
        """Take note of the first token of what the lease was for."""
        ...

    def forgive(self, ticket: int) -> None:
        """Hold nothing against the target of the lease: its client left."""
        ...


class LeaseDesk:
    """The dispatcher's counter."""

    def __init__(self, dispatcher: Address[DispatcherMessage], counter: Counter | None = None) -> None:
        """Ask at `dispatcher`, after trying `counter`, where the dispatcher grants what needs no waiting."""
        self._dispatcher = dispatcher
        self._counter = counter

    def lease(self, query: RouteQuery) -> Held:
        """Return a context that waits for a lease, or for its refusal, and gives it back at its end."""
        return Held(self._dispatcher, self._counter, query)

    def answered(self, lease: Lease) -> None:
        """Tell that the first token came of what `lease` was for: silence is evidence, and it has ended."""
        if self._counter is not None:
            self._counter.answered(lease.ticket)

    def forgive(self, lease: Lease) -> None:
        """Tell that what `lease` was for ends because its client left: its silence is no evidence."""
        if self._counter is not None:
            self._counter.forgive(lease.ticket)

    def give_back(self, lease: Lease) -> None:
        """Take back what is not needed any more, before its context ends."""
        if self._counter is None or not self._counter.take_back(lease.ticket, time.monotonic()):
            self._dispatcher.post(LeaseReleased(ticket=lease.ticket))

    async def preview(self, query: RouteQuery) -> Choice:
        """Return the choice that `query` would get now; nothing is leased."""
        reply: Reply[Choice] = Reply()
        self._dispatcher.post(RoutePreviewRequested(query=query, reply=reply))
        return await reply.wait()

    async def view(self) -> DispatcherView:
        """Return what the dispatcher holds, once it has heard from the registry."""
        reply: Reply[DispatcherView] = Reply()
        self._dispatcher.post(ViewRequested(reply=reply))
        return await reply.wait()


class Held:
    """One lease's life. A plain class: contextlib's generator costs more than the lease."""

    __slots__ = ("_answer", "_counter", "_dispatcher", "_query", "_ticket")

    def __init__(self, dispatcher: Address[DispatcherMessage], counter: Counter | None, query: RouteQuery) -> None:
        """Ask for `query` when entered."""
        self._dispatcher = dispatcher
        self._counter = counter
        self._query = query
        self._ticket = next(_TICKETS)
        self._answer: Lease | NoLease | None = None

    async def __aenter__(self) -> Lease | NoLease:
        """Return the lease, or why there is none."""
        return self._answer or await self.ask()

    async def ask(self) -> Lease | NoLease:
        """Return the lease, or why there is none, before it is entered; who does not enter it calls `give_back`."""
        self._answer = answer = await self._asked()
        return answer

    async def _asked(self) -> Lease | NoLease:
        if (
            self._counter is not None
            and (lease := self._counter.grant(self._ticket, self._query, time.monotonic())) is not None
        ):
            return lease
        reply: Reply[Lease | NoLease] = Reply()
        self._dispatcher.post(LeaseRequested(ticket=self._ticket, query=self._query, reply=reply))
        try:
            return await reply.wait()
        except BaseException:
            self.give_back()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Give back what was held."""
        self.give_back()

    def give_back(self) -> None:
        """Give back what was held, or stop waiting for it."""
        if self._counter is None or not self._counter.take_back(self._ticket, time.monotonic()):
            self._dispatcher.post(LeaseReleased(ticket=self._ticket))
