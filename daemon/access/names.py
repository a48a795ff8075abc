"""The names of users and groups, looked up beside the loop: a directory service may take seconds for one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final

import anyio
import anyio.to_thread
import msgspec

from state.people import group_name, user_name

__all__ = ["Kind", "LookUp", "Names", "numbered", "system_name"]

_FRESH_S: Final = 600.0
"""A user is renamed less often than once in ten minutes."""
_AGAIN_S: Final = 30.0
"""When a name is asked for again that did not come in time."""
_PATIENCE_S: Final = 5.0
_RENEWAL_S: Final = 0.25
"""How long a request waits for a name that was known before: the old one will do."""
_MOST: Final = 4096
"""Names that are kept; a machine has fewer users that call."""
_AT_ONCE: Final = 4
"""Threads that may hang in a directory service. A thread that nobody waits for any more still hangs, and is counted."""
_POLL_S: Final = 0.05


class Kind(Enum):
    """Whose name."""

    USER = "uid"
    GROUP = "gid"


LookUp = Callable[[Kind, int], str | None]
"""Returns a name, None where the system knows none. May take its time."""
_Key = tuple[Kind, int]


class _Known(msgspec.Struct, frozen=True):
    name: str
    until: float
    """When it is to be looked up again, on the loop's clock."""


def system_name(kind: Kind, number: int) -> str | None:
    """Return the name that the system has for a number, None where it has none. Blocks."""
    return user_name(number) if kind is Kind.USER else group_name(number)


def numbered(kind: Kind, number: int) -> str:
    """Return what stands for a name that is not known: `uid 1234`, `gid 1234`."""
    return f"{kind.value} {number}"


class Names:
    """Knows names for ten minutes each. Who has none, or whose name does not come in time, is called by its number."""

    def __init__(self, clock: Callable[[], float], look_up: LookUp = system_name) -> None:
        """Ask `look_up`, in a thread."""
        self._clock = clock
        self._look_up = look_up
        self._known: dict[_Key, _Known] = {}
        self._under_way: dict[_Key, anyio.Event] = {}
        self._out: set[_Key] = set()
        """What threads are asking for."""

    async def user(self, uid: int) -> str:
        """Return the user's name."""
        return await self._name((Kind.USER, uid))

    async def group(self, gid: int) -> str:
        """Return the group's name."""
        return await self._name((Kind.GROUP, gid))

    async def groups(self, gids: Iterable[int]) -> list[str]:
        """Return the names of several groups, waiting for all of them no longer than for one."""
        names = {gid: numbered(Kind.GROUP, gid) for gid in gids}
        with anyio.move_on_after(_PATIENCE_S):
            for gid in names:
                names[gid] = await self.group(gid)
        return list(names.values())

    async def _name(self, key: _Key) -> str:
        while True:
            known = self._known.get(key)
            if known is not None and (self._clock() < known.until or key in self._under_way):
                return known.name
            coming = self._under_way.get(key)
            if coming is None:
                return await self._asked(key)
            with anyio.move_on_after(_PATIENCE_S) as waiting:
                await coming.wait()
            if waiting.cancelled_caught:
                return numbered(*key)

    async def _asked(self, key: _Key) -> str:
        """Look a name up, keep what is found, and return it; where nothing comes in time, what was known before."""
        known = self._known.get(key)
        name, lasts = numbered(*key) if known is None else known.name, _AGAIN_S
        come = self._under_way[key] = anyio.Event()
        try:
            with anyio.move_on_after(_PATIENCE_S if known is None else _RENEWAL_S):
                found = await self._out_for(key)
                name, lasts = found or name, _FRESH_S
        finally:
            del self._under_way[key]
            come.set()
        self._keep(key, _Known(name, self._clock() + lasts))
        return name

    async def _out_for(self, key: _Key) -> str | None:
        """Ask in a thread of its own, once there are not too many, nor one for this name already."""
        while key in self._out or len(self._out) >= _AT_ONCE:  # noqa: ASYNC110 - a thread cannot set the loop's events
            await anyio.sleep(_POLL_S)
        begun: list[_Key] = []

        def look_up() -> str | None:
            begun.append(key)
            try:
                return self._look_up(*key)
            finally:
                self._out.discard(key)

        self._out.add(key)
        try:
            return await anyio.to_thread.run_sync(look_up, abandon_on_cancel=True)
        finally:
            if not begun:
                self._out.discard(key)

    def _keep(self, key: _Key, known: _Known) -> None:
        self._known.pop(key, None)
        self._known[key] = known
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]
