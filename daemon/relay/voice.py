"""The way back to the client of a streamed answer: who speaks first, what keeps it waiting, and the last word."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import anyio

from daemon.relay.calls import Client, ClientCall, ClientLeft
from daemon.relay.events import ends_event
from daemon.relay.headers import Story, answer_headers, header_text, story_headers
from probes.dialects.continuing import marked
from probes.dialects.shapes import ErrorText, error_event

__all__ = ["Voice"]

T = TypeVar("T")
_LAST_WORDS_S: Final = 1.0
"""A client that does not read cannot hold a lease for longer."""
_SHARE_OF_PATIENCE: Final = 3.0
"""Signs of life come three times as often as the client's SDK needs them."""
_OK: Final = 200
_BLANK: Final = b"\n\n"


class Voice:
    """Speaks to one client. The headers go out once: with the first content, or with the first sign of life."""

    def __init__(self, call: ClientCall, story: Story, client: Client, clock: Callable[[], float]) -> None:
        """Stay silent."""
        self._call = call
        self._story = story
        self._client = client
        self._clock = clock
        self.started = False
        self._content = False
        self._within = False
        self._begun: anyio.Event | None = None
        """Set once the headers are out that a sign of life sends."""

    @property
    def quiet(self) -> bool:
        """Whether the client has nothing but signs of life so far."""
        return not self._content

    @property
    def within_event(self) -> bool:
        """Whether the client has the beginning of an event, and not its end."""
        return self._within

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin with the provider's headers and the story so far; where the client has those, say what came since."""
        if self._content:
            await self.say(self._summary())
            return
        self._content = True
        self._story.first_byte_s = self._clock() - self._call.arrived_at
        if self.started:
            if self._begun is not None:
                await self._begun.wait()
            await self.say(self._summary())
        else:
            await self._begin(status, headers)

    async def write(self, piece: bytes) -> None:
        """Pass a piece of the stream on."""
        self._within = not ends_event(piece)
        await self._client.write(piece)

    async def say(self, note: str) -> None:
        """Send a comment, which every SDK passes over and every log of the stream shows."""
        await self.write((_BLANK if self._within else b"") + marked(self._call.surface, header_text(note)))

    async def while_quiet(self, talk: Callable[[], Awaitable[T]]) -> T:
        """Return what `talk` returns, giving signs of life until it says something. Raises ClientLeft.

        The first sign sends the headers, so this is for the time after a fallback: they name it.
        """
        left: list[ClientLeft] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_alive, tasks.cancel_scope, left)
            try:
                result = await talk()
            except ClientLeft as error:
                left.append(error)
            tasks.cancel_scope.cancel()
        if left:
            raise left[0]
        return result

    async def _keep_alive(self, talk: anyio.CancelScope, left: list[ClientLeft]) -> None:
        every = min(self._call.workload.keep_alive, self._call.patience_s / _SHARE_OF_PATIENCE)
        await anyio.sleep(max(0.0, self._call.arrived_at + every - self._clock()))
        try:
            while self.quiet:
                if not self.started:
                    self._begun = anyio.Event()
                    with anyio.CancelScope(shield=True):  # headers that are half sent could never be gone on from
                        await self._begin(_OK, {})
                    self._begun.set()
                await self.say("fairlead waits for another target")
                await anyio.sleep(every)
        except ClientLeft as error:
            left.append(error)
            talk.cancel()

    async def whole(self, stream: bytes) -> None:
        """Send a stream that is complete already, and what it is, where the headers could not say so."""
        if self.started:
            await self.say(self._summary())
        else:
            await self._begin(_OK, {})
        await self._client.write(stream)

    async def break_off(self, reason: str, told: bytes | None = None) -> None:
        """End the stream in the error that the client's SDK raises, never as if it were whole.

        `told` is what is left of the provider's own error event, where the client has that.
        """
        last_words = error_event(self._call.surface, self._broken(reason)) if told is None else told
        with anyio.move_on_after(_LAST_WORDS_S):
            if last_words:
                await self.write(last_words)
            if self._within:  # an event is nothing to a client before its empty line
                await self.write(_BLANK)

    def _broken(self, reason: str) -> ErrorText:
        if self._content:
            message = f"The answer broke off: {reason}. What came so far is incomplete; ask again."
        else:
            message = reason
        code = "stream_broken" if self._content else "targets_exhausted"
        return ErrorText(
            status=502, message=message, type="upstream_error", code=code, request_id=self._call.request_id
        )

    async def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.started = True
        own = story_headers(self._call, self._story, self._clock())
        await self._client.start(status, answer_headers(headers, own, "text/event-stream"))

    def _summary(self) -> str:
        story = self._story
        degraded = f"; fairlead-degraded: {story.degraded}" if story.degraded else ""
        return f"fairlead-target: {story.target}; fairlead-fallback-from: {story.fallback_from}{degraded}"
