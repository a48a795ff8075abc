"""The end of the daemon's patience: requests that are still under way then are told so, and not just dropped."""

from __future__ import annotations

from types import TracebackType

import anyio

__all__ = ["Curfew"]


class Curfew:
    """Ends what is under way when it falls. One for the whole daemon, handed to each session."""

    def __init__(self) -> None:
        """Let everything go on."""
        self.fallen = False
        self._under_way: set[anyio.CancelScope] = set()

    def observed(self) -> Observed:
        """Return a context whose block is cancelled when the curfew falls, and is then left as if it had ended."""
        return Observed(self)

    def fall(self) -> None:
        """End everything that is under way, and everything that begins from now on."""
        self.fallen = True
        for scope in tuple(self._under_way):
            scope.cancel()

    def begin(self, scope: anyio.CancelScope) -> None:
        """Take in a block that has begun."""
        self._under_way.add(scope)
        if self.fallen:
            scope.cancel()

    def end(self, scope: anyio.CancelScope) -> None:
        """Let go of a block that has ended."""
        self._under_way.discard(scope)


class Observed:
    """One block under a curfew. A plain class: it is on the way of every request."""

    __slots__ = ("_curfew", "_scope")

    def __init__(self, curfew: Curfew) -> None:
        """Observe `curfew`."""
        self._curfew = curfew
        self._scope = anyio.CancelScope()

    def __enter__(self) -> None:
        """Begin the block."""
        self._scope.__enter__()
        self._curfew.begin(self._scope)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        """Return whether the block was ended by the curfew, which is then nobody's error."""
        self._curfew.end(self._scope)
        return bool(self._scope.__exit__(kind, error, at))
