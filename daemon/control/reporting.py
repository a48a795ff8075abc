"""`POST /fairlead/v1/report`: evidence from callers that call providers themselves."""

from __future__ import annotations

import difflib
import re
import secrets
from collections.abc import Callable
from itertools import count
from typing import Annotated, Any, Final

import msgspec

from daemon.control.operating import problem
from daemon.faces.refusals import RefusalKind
from daemon.routing.leases import DispatcherView
from state.faults import Fault
from state.history.rows import AttemptRow, RecorderMessage
from state.mailbox import Address
from state.messages import AttemptCompleted, RegistryMessage
from state.outcome import Outcome
from state.targets import TargetName

__all__ = ["Report", "Reporting"]

_PROCESS: Final = secrets.token_hex(6)
_SERIAL: Final = count(1)
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+")
_LONGEST_REASON: Final = 200
_LONGEST_MS: Final = 86_400_000.0


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a call that the caller made itself went."""

    target: str
    latency_ms: Annotated[float, msgspec.Meta(ge=0, le=_LONGEST_MS)]
    ok: bool | None = None
    fault: Fault | None = None
    status: Annotated[int, msgspec.Meta(ge=100, le=599)] | None = None
    reason: str = ""


class Reporting:
    """Takes reports as evidence, like fairlead's own attempts."""

    def __init__(
        self,
        registry: Address[RegistryMessage],
        recorder: Address[RecorderMessage],
        clock: Callable[[], float],
    ) -> None:
        """Pass them on to the registry and the history."""
        self._registry = registry
        self._recorder = recorder
        self._clock = clock

    def take(self, report: Report, view: DispatcherView) -> dict[str, Any]:
        """Take in `report`. Raises Problem where it says nothing, or of a target that there is not."""
        if (report.ok is True) == (report.fault is not None):
            raise problem(RefusalKind.INVALID_REQUEST, 'Say either "ok": true or a "fault".')
        if report.target not in view.routes.places:
            near = difflib.get_close_matches(report.target, view.routes.places, n=3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise problem(RefusalKind.NOT_FOUND, f"There is no target {report.target!r}.{hint}")
        target, now = TargetName(report.target), self._clock()
        outcome = Outcome(
            fault=report.fault,
            status=report.status,
            reason=_UNPRINTABLE.sub(" ", report.reason).strip()[:_LONGEST_REASON],
            latency_s=report.latency_ms / 1e3,
        )
        request_id = f"rep_{_PROCESS}{next(_SERIAL):012x}"
        self._registry.post(
            AttemptCompleted(target=target, outcome=outcome, started_at=now - outcome.latency_s, at=now)
        )
        self._recorder.post(AttemptRow(at=now, request_id=request_id, number=1, target=target, outcome=outcome))
        return {"target": target, "request_id": request_id, "fault": report.fault}
