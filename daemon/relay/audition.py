"""The beginning of a stream is heard and judged before the client has any of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from daemon.relay.calls import ClientCall
from daemon.relay.checks import Checks
from probes.cascade import CascadePolicy
from probes.dialects.beginnings import Beginning
from probes.dialects.classify import Diagnosis
from probes.dialects.judging import judge_beginning, judge_stream
from probes.dialects.quality import REFUSED
from state.faults import Fault

__all__ = ["Audition", "Judging"]

Judging = Callable[[], Awaitable[str | None]]
"""Returns what an answer lacks, None where it is to be given."""


class Audition:
    """Judges one stream of a cascade. Whoever does not do is given up only where `ready` has found another."""

    def __init__(
        self, call: ClientCall, policy: CascadePolicy, checks: Checks, ready: Callable[[str], Awaitable[bool]]
    ) -> None:
        """Judge a stream that answers `call`; `ready` hears what it lacks, and says whether another target is there."""
        self._call = call
        self._policy = policy
        self._checks = checks
        self._ready = ready
        self.beginning = Beginning(call.surface, policy.hold_back)

    def judging(self, onward: bytes, diagnosis: Diagnosis | None) -> Judging | None:
        """Return what judges the stream now: `onward` is to go on, or its `diagnosis` is a refusal; else None."""
        if onward:
            return self.lack_so_far
        filtered = diagnosis is not None and diagnosis.fault is Fault.CONTENT_FILTER
        return self.lack_by_filter if filtered else None

    async def lack_so_far(self) -> str | None:
        """Return what the stream lacks by its beginning; None where it is to go on."""
        found = judge_beginning(self._policy, self._call.surface, self._call.body, self.beginning.said)
        return await self._to_be_bettered(found)

    async def lack_in_all(self) -> str | None:
        """Return what a stream lacks that has ended within its beginning; None where it is to be given."""
        said = self.beginning.said
        found = judge_stream(self._policy, self._call.surface, self._call.body, said)
        if found is None:
            found = await self._checks.lack(self._policy, self._call.workload.name, said.text)
        return await self._to_be_bettered(found)

    async def lack_by_filter(self) -> str | None:
        """Return what a stream lacks that its provider ended as a refusal; None where that is to be shown."""
        return await self._to_be_bettered(REFUSED if self._policy.refusals else None)

    async def _to_be_bettered(self, lack: str | None) -> str | None:
        return lack if lack is not None and await self._ready(lack) else None
