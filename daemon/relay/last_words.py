"""What a client gets that no target answered: the provider's own error, a degraded answer, or ours that says why."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import msgspec

from daemon.degraded.shelf import Shelf
from daemon.faces.refusals import Refusal, RefusalKind, refusal_body, refusal_headers
from daemon.faces.telling import say_refused
from daemon.relay.calls import Answer, ClientCall, ClientLeft, Failed
from daemon.relay.headers import story_headers
from daemon.relay.journal import Ending, Journal
from daemon.relay.refusing import Tried, passed_on, stopping
from daemon.relay.voice import Voice
from probes.dialects.rendering import Rendered, render_stream, render_whole, wants_usage
from probes.surfaces import Surface
from state.outcome import Outcome

__all__ = ["LastWords"]

_DEGRADABLE: Final = frozenset({RefusalKind.NO_TARGET, RefusalKind.EXHAUSTED, RefusalKind.QUEUE_FULL})
_SPEAKING: Final = frozenset({Surface.CHAT, Surface.RESPONSES, Surface.MESSAGES})
_OK: Final = 200
_BROKEN: Final = 500


class _Substitute(msgspec.Struct, frozen=True):
    """A text in place of an answer."""

    kind: str
    """`cache` or `static`."""
    text: str


class LastWords:
    """Ends a request that found no answer."""

    def __init__(self, call: ClientCall, journal: Journal, voice: Voice, shelf: Shelf) -> None:
        """End `call`, where it comes to that."""
        self._call = call
        self._journal = journal
        self._voice = voice
        self._shelf = shelf

    def passed_on(self, failed: Failed, tried: list[Tried]) -> Answer | None:
        """Return the provider's own words, where they are for the client to read and nothing else was tried."""
        workload = self._call.workload
        others = len({target for target, _ in tried}) > 1 or workload.degraded.mode != "none"
        if self._voice.started or (failed.outcome.fault in workload.fallback_on and others):
            return None
        own = story_headers(self._call, self._journal.story, self._journal.now())
        answer = passed_on(failed, own, tried)
        if answer is not None:
            self._journal.ended(Ending(outcome="failed", status=answer.status, last=failed.outcome))
        return answer

    async def stopped(self, tried: list[Tried]) -> Answer | None:
        """Tell a client that the daemon ends before its answer does."""
        if self._voice.quiet or not tried:
            return await self.refuse(stopping(self._call), tried)
        last = tried[-1][1]
        await self._voice.break_off(last.reason)
        self._journal.ended(Ending(outcome="cut", status=_OK, last=last))
        return None

    async def mishap(self) -> None:
        """Write down a request that met a mistake of ours; a client that has a stream hears of it there."""
        if not self._journal.over:
            self._journal.ended(Ending(outcome="failed" if self._voice.quiet else "cut", status=_BROKEN))
        if self._voice.started:
            with suppress(ClientLeft):
                await self._voice.break_off("fairlead itself failed; its log says how")

    async def refuse(self, refusal: Refusal, tried: list[Tried]) -> Answer | None:
        """Return our refusal, or a degraded answer in its place; None where either was streamed."""
        last = tried[-1][1] if tried else None
        substitute = await self._substitute(refusal, last)
        if substitute is not None:
            self._journal.story.degraded = substitute.kind
            if self._call.workload.degraded.status == _OK and self._call.surface in _SPEAKING:
                return await self._instead(substitute, last)
            refusal = msgspec.structs.replace(refusal, message=f"{substitute.text} [{refusal.message}]")
        return await self._say_no(refusal, last)

    async def _substitute(self, refusal: Refusal, last: Outcome | None) -> _Substitute | None:
        degraded = self._call.workload.degraded
        expected = last is None or last.fault in self._call.workload.fallback_on
        if degraded.mode == "none" or refusal.kind not in _DEGRADABLE or not expected:
            return None
        if degraded.mode == "cache" and (text := await self._shelf.find(self._call)) is not None:
            return _Substitute("cache", text)
        fault = last.fault if last is not None else None
        text = (degraded.messages.get(fault.value, "") if fault else "") or degraded.message
        return _Substitute("static", text) if text else None

    async def _instead(self, substitute: _Substitute, last: Outcome | None) -> Answer | None:
        call = self._call
        rendered = Rendered(
            surface=call.surface,
            model=call.model,
            text=substitute.text,
            request_id=call.request_id,
            created=self._shelf.unix_seconds(),
            include_usage=wants_usage(call.body),
        )
        if call.streamed:
            await self._voice.whole(render_stream(rendered))
            self._journal.ended(Ending(outcome="failed", status=_OK, last=last))
            return None
        headers = story_headers(call, self._journal.story, self._journal.now()) | {"content-type": "application/json"}
        self._journal.ended(Ending(outcome="failed", status=_OK, last=last))
        return Answer(status=_OK, headers=headers, body=render_whole(rendered))

    async def _say_no(self, refusal: Refusal, last: Outcome | None) -> Answer | None:
        outcome = "failed" if last is not None else "refused"
        if last is None and self._call.charged.purpose == "client":
            say_refused(refusal, self._call.request_id, self._call.workload.name)
        if self._voice.started:
            await self._voice.break_off(refusal.message)
            self._journal.ended(Ending(outcome=outcome, status=_OK, last=last))
            return None
        headers = story_headers(self._call, self._journal.story, self._journal.now()) | refusal_headers(refusal)
        headers["content-type"] = "application/json"
        self._journal.ended(Ending(outcome=outcome, status=refusal.status, last=last))
        body = refusal_body(refusal, self._call.surface.dialect, self._call.request_id)
        return Answer(status=refusal.status, headers=headers, body=body)
