"""The beginning of a stream is heard and judged before the client has any of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from daemon.relay.calls import ClientCall
from daemon.relay.checks import Checks
from probes.cascade import CascadePolicy
from probes.dialects.beginnings import Beginning
from probes.dialects.classify import Diagnosis
from probes.dialects.quality import REFUSED

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

    async def lack_so_far(self) -> str | None:
        """Return what the stream lacks by its beginning; None where it is to go on."""
        from probes.dialects.judging import judge_beginning  # noqa: PLC0415 - cascades alone judge

        found = judge_beginning(self._policy, self._call.surface, self._call.body, self.beginning.said)
        return await self._to_be_bettered(found)

    def judging(self, diagnosis: Diagnosis | None) -> Judging:
        """Return what judges a stream that ended within its beginning: well, or by its `diagnosis` as a refusal."""
        return self._lack_in_all if diagnosis is None else self._lack_by_filter

    async def _lack_in_all(self) -> str | None:
        from probes.dialects.judging import judge_stream  # noqa: PLC0415 - cascades alone judge

        said = self.beginning.said
        found = judge_stream(self._policy, self._call.surface, self._call.body, said)
        if found is None:
            found = await self._checks.lack(self._policy, self._call.workload.name, said.text)
        return await self._to_be_bettered(found)

    async def _lack_by_filter(self) -> str | None:
        return await self._to_be_bettered(REFUSED if self._policy.refusals else None)

    async def _to_be_bettered(self, lack: str | None) -> str | None:
        return lack if lack is not None and await self._ready(lack) else None
