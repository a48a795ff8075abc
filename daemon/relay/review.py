"""Answers that a person is to look at: each is marked on its way, and listed by the hash of what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from daemon.relay.calls import Answer, Client, ClientCall
from state.history.charges import ReviewRow
from state.targets import TargetName

__all__ = ["Reviewed"]

_MARK: Final = {"fairlead-review": "pending"}
_GOOD: Final = range(200, 300)


class Reviewed:
    """A client whose answer is to be looked at. Refusals and errors are no answers."""

    def __init__(self, client: Client, call: ClientCall) -> None:
        """Pass on to `client` what answers `call`."""
        self._client = client
        self._call = call
        self._digest = sha256()
        self._sent = False

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Pass the head on, marked. Raises ClientLeft."""
        await self._client.start(status, {**headers, **_MARK})

    async def write(self, piece: bytes) -> None:
        """Pass a piece on. Raises ClientLeft."""
        await self._client.write(piece)
        self._note(piece)

    def marked(self, answer: Answer) -> Answer:
        """Return a whole answer, marked where it is one."""
        if answer.status not in _GOOD:
            return answer
        self._note(answer.body)
        return replace(answer, headers={**answer.headers, **_MARK})

    def row(self, target: TargetName | None, now: float) -> ReviewRow | None:
        """Return what is to be listed; None where nothing was sent."""
        if not self._sent:
            return None
        call = self._call
        return ReviewRow(
            at=now, request_id=call.request_id, target=target, charged=call.charged, sha256=self._digest.hexdigest()
        )

    def _note(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._sent = True
