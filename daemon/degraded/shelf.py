"""What sessions hold of the kept answers: they put good ones there, and look there when nobody answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio

from daemon.degraded.answers import AnswerKept, AnswerLimits, AnswerMessage, AnswerWanted, Kept
from daemon.degraded.keys import answer_key
from daemon.relay.calls import ClientCall
from probes.dialects.texts import TextSoFar, text_of
from state.mailbox import Address, Reply
from state.targets import TargetName

__all__ = ["Shelf"]

_PATIENCE_S: Final = 2.0
"""A disk that is slower than this has no answer."""


class Shelf:
    """The way to the answer store. Only workloads with `degraded.mode = "cache"` use it."""

    def __init__(self, store: Address[AnswerMessage], wall: Callable[[], float]) -> None:
        """Ask at `store`; `wall` gives Unix seconds."""
        self._store = store
        self._wall = wall

    def unix_seconds(self) -> int:
        """Return the time, for answers that must carry one."""
        return int(self._wall())

    def keep_whole(self, call: ClientCall, target: TargetName | None, body: bytes) -> None:
        """Keep a whole answer, where its workload wants that and it is plain text."""
        if call.workload.degraded.mode == "cache":
            self._keep(call, target, text_of(call.surface, body))

    def keep_stream(self, call: ClientCall, target: TargetName | None, text: TextSoFar | None) -> None:
        """Keep the text of a stream that came to its proper end."""
        if call.workload.degraded.mode == "cache" and text is not None and text.plain and text.finished:
            self._keep(call, target, text.text)

    async def find(self, call: ClientCall) -> str | None:
        """Return the last good answer to the same question of the same asker, None where there is none."""
        key = _key(call)
        if key is None:
            return None
        reply: Reply[Kept | None] = Reply()
        if not self._store.post(AnswerWanted(key=key, max_age_s=call.workload.degraded.max_age, reply=reply)):
            return None
        with anyio.move_on_after(_PATIENCE_S):
            found = await reply.wait()
            return None if found is None else found.text
        return None

    def _keep(self, call: ClientCall, target: TargetName | None, text: str | None) -> None:
        key = _key(call) if text else None
        if key is None or not text:
            return
        degraded = call.workload.degraded
        limits = AnswerLimits(max_age_s=degraded.max_age, max_bytes=degraded.max_size)
        self._store.post(AnswerKept(key=key, workload=call.workload.name, text=text, model=target or "", limits=limits))


def _key(call: ClientCall) -> bytes | None:
    return answer_key(call.workload.name, call.surface, call.body, call.asker)
