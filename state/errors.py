"""The exceptions of fairlead. None of them ever crosses a mailbox: evidence travels as values."""

from __future__ import annotations

__all__ = ["ConfigError", "FairleadError", "HistoryError", "WireError"]


class FairleadError(Exception):
    """Anything that fairlead itself reports as wrong; its text says what, where, and what to do."""


class ConfigError(FairleadError):
    """A configuration that cannot be used.

    `problems` holds every problem at once, each a finished line `file:line: what, what to do`.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        """Keep each problem; the exception's text is one line per problem."""
        super().__init__("\n".join(problems))
        self.problems = problems


class HistoryError(FairleadError):
    """The history file cannot be opened, migrated, read or written as asked."""


class WireError(FairleadError):
    """An exchange with a provider failed below HTTP; `probes.wire` raises only subclasses of it."""
