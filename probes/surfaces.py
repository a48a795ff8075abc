"""The API calls that fairlead relays: each belongs to one dialect and lives at one path."""

from __future__ import annotations

from enum import StrEnum

from probes.policy import Dialect
from state.outcome import Work

__all__ = ["Surface", "speaks"]


class Surface(StrEnum):
    """One API call, named by the path that clients post to."""

    CHAT = "/v1/chat/completions"
    RESPONSES = "/v1/responses"
    EMBEDDINGS = "/v1/embeddings"
    MESSAGES = "/v1/messages"
    COUNT_TOKENS = "/v1/messages/count_tokens"

    @property
    def dialect(self) -> Dialect:
        """The API family that this call belongs to."""
        return Dialect.ANTHROPIC if self in _ANTHROPIC else Dialect.OPENAI

    @property
    def streams(self) -> bool:
        """Whether its answers can be streamed; elsewhere `stream` in a request means nothing."""
        return self.generates

    @property
    def generates(self) -> bool:
        """Whether its answers are written token by token."""
        return self.work is Work.GENERATE

    @property
    def work(self) -> Work:
        """What it asks a target to do."""
        return _WORK.get(self, Work.GENERATE)


_WORK = {Surface.EMBEDDINGS: Work.EMBED, Surface.COUNT_TOKENS: Work.COUNT}
_ANTHROPIC = frozenset({Surface.MESSAGES, Surface.COUNT_TOKENS})


def speaks(dialect: Dialect, surface: Surface) -> bool:
    """Return whether a provider of `dialect` answers `surface`."""
    return dialect is Dialect.SIMULATED or dialect is surface.dialect
