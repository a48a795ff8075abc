"""Whose turn it is to be read from: many who send as fast as they can must not fill a turn of the loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

__all__ = ["FULL_READ", "Turns"]

FULL_READ: Final = 64 * 2**10
"""A read of so much says that more is there. libuv reads on, up to 32 times 256 KiB, before another's turn."""


class _Reads(Protocol):
    def resume(self) -> None: ...


class Turns:
    """A line of those who have more to send: one full read, a fifth of a millisecond, in each turn of the loop."""

    def __init__(self) -> None:
        """Start with nobody in line."""
        self._line: deque[_Reads] = deque()

    def wait(self, one: _Reads, soon: Callable[[Callable[[], None]], object]) -> None:
        """Let `one`, who was paused, be read from again when it is its turn; `soon` calls in the loop's next turn."""
        self._line.append(one)
        if len(self._line) == 1:
            soon(lambda: self._next(soon))

    def _next(self, soon: Callable[[Callable[[], None]], object]) -> None:
        self._line.popleft().resume()
        if self._line:
            soon(lambda: self._next(soon))
