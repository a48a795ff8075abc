"""The question whether an actor still turns: anybody asks, and the actor answers when it comes to its own next turn."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Pulse"]


class Pulse:
    """One actor's side of the question. An actor that waits for work is woken for it, and takes a turn without any."""

    __slots__ = ("_asked", "_wake")

    def __init__(self, wake: Callable[[], None]) -> None:
        """Call `wake` to have the actor take a turn now, where it only waits for work."""
        self._asked = False
        self._wake = wake

    def ask(self) -> None:
        """Want an answer. Returns at once."""
        self._asked = True
        self._wake()

    def answer(self) -> None:
        """Say that a turn begins. For the actor alone."""
        self._asked = False

    @property
    def answered(self) -> bool:
        """Whether no question is open."""
        return not self._asked
