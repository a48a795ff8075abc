"""How verbs end."""

from __future__ import annotations

from enum import IntEnum

from state.errors import FairleadError

__all__ = ["Exit", "VerbFailed"]


class Exit(IntEnum):
    """The contract's exit codes."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    NO_DAEMON = 3
    NOT_PERMITTED = 4
    INVALID_CONFIGURATION = 5
    TIMED_OUT = 6
    INTERRUPTED = 130


class VerbFailed(FairleadError):
    """A verb cannot do what it was asked; the text says why and what to do."""

    def __init__(self, code: Exit, text: str) -> None:
        """End with `code`."""
        super().__init__(text)
        self.exit = code
