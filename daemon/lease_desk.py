"""What a session holds of the dispatcher: it asks for leases here, and always gives them back."""

from __future__ import annotations

from itertools import count
from types import TracebackType

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

__all__ = ["LeaseDesk"]

_TICKETS = count(1)


class LeaseDesk:
    """The dispatcher's counter."""

    def __init__(self, dispatcher: Address[DispatcherMessage]) -> None:
        """Ask at `dispatcher`."""
        self._dispatcher = dispatcher

    def lease(self, query: RouteQuery) -> _Held:
        """Return a context that waits for a lease, or for its refusal, and gives it back at its end."""
        return _Held(self._dispatcher, query)

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


class _Held:
    """One lease's life. A plain class: contextlib's generator costs more than the lease."""

    __slots__ = ("_dispatcher", "_query", "_ticket")

    def __init__(self, dispatcher: Address[DispatcherMessage], query: RouteQuery) -> None:
        self._dispatcher = dispatcher
        self._query = query
        self._ticket = next(_TICKETS)

    async def __aenter__(self) -> Lease | NoLease:
        reply: Reply[Lease | NoLease] = Reply()
        self._dispatcher.post(LeaseRequested(ticket=self._ticket, query=self._query, reply=reply))
        try:
            return await reply.wait()
        except BaseException:
            self._give_back()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._give_back()

    def _give_back(self) -> None:
        self._dispatcher.post(LeaseReleased(ticket=self._ticket))
