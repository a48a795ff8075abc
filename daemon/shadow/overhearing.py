"""Overhearing an answer on its way to the client: how long its text is, and whether it declines."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.relay.calls import Answer, Client
from daemon.shadow.copies import Said
from probes.dialects.texts import TextSoFar, text_of
from probes.surfaces import Surface

__all__ = ["Overheard"]


class Overheard:
    """A client whose stream is read along with it; no text outlives it."""

    def __init__(self, client: Client, surface: Surface) -> None:
        """Pass on to `client` what answers a call of `surface`."""
        self._client = client
        self._surface = surface
        self._text = TextSoFar(surface)

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Pass the head on. Raises ClientLeft."""
        await self._client.start(status, headers)

    async def write(self, piece: bytes) -> None:
        """Pass a piece on, then read it. Raises ClientLeft."""
        await self._client.write(piece)
        self._text.feed(piece)

    def said(self, answer: Answer | None) -> Said:
        """Return what was heard: of a whole `answer`, or of the stream where there is none."""
        if answer is not None:
            return _said(text_of(self._surface, answer.body))
        return _said(self._text.text if self._text.plain and self._text.stopped else None)


def _said(text: str | None) -> Said:
    from probes.dialects.refusals import refuses  # noqa: PLC0415 - where answers are compared

    return Said() if text is None else Said(len(text), refuses(text))
