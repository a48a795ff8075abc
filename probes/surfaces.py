"""The API calls that fairlead relays: each belongs to one dialect and lives at one path."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from probes.policy import Dialect
from state.outcome import Work

__all__ = ["Surface", "speaks"]


class Surface(StrEnum):
    """One API call, named by the path that clients post to."""

    dialect: Dialect
    """The API family that this call belongs to."""
    work: Work
    """What it asks a target to do."""
    generates: bool
    """Whether its answers are written token by token, and can be streamed; elsewhere `stream` means nothing."""

    def __new__(cls, path: str, dialect: Dialect = Dialect.OPENAI, work: Work = Work.GENERATE) -> Self:
        """Make a member that knows its own attributes: a choice asks for them, and has no time to look them up."""
        member = str.__new__(cls, path)
        member._value_ = path
        member.dialect, member.work, member.generates = dialect, work, work is Work.GENERATE
        return member

    CHAT = "/v1/chat/completions", Dialect.OPENAI, Work.GENERATE
    RESPONSES = "/v1/responses", Dialect.OPENAI, Work.GENERATE
    EMBEDDINGS = "/v1/embeddings", Dialect.OPENAI, Work.EMBED
    MESSAGES = "/v1/messages", Dialect.ANTHROPIC, Work.GENERATE
    COUNT_TOKENS = "/v1/messages/count_tokens", Dialect.ANTHROPIC, Work.COUNT

    @property
    def streams(self) -> bool:
        """Whether its answers can be streamed."""
        return self.generates


def speaks(dialect: Dialect, surface: Surface) -> bool:
    """Return whether a provider of `dialect` answers `surface`."""
    return dialect is Dialect.SIMULATED or dialect is surface.dialect
