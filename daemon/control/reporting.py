"""`POST /fairlead/v1/report`: evidence from callers that call providers themselves."""

from __future__ import annotations

import difflib
import re
import secrets
from collections.abc import Callable
from itertools import count
from typing import Annotated, Any, Final

import msgspec

from daemon.alerts.alarm import Alarm
from daemon.control.operating import problem
from daemon.faces.refusals import RefusalKind
from daemon.routing.leases import DispatcherView
from state.faults import FAULT_RULES, Fault, HealthEffect
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
_ERRORS_FROM: Final = 400
_KEEPS_OTHERS_AWAY: Final = frozenset(
    fault for fault, rule in FAULT_RULES.items() if rule.health in {HealthEffect.BLOCKS, HealthEffect.REFUSES}
)
"""One report of these keeps everyone from a target, for up to a day: the word of somebody known is needed."""


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
        alarm: Alarm,
        clock: Callable[[], float],
    ) -> None:
        """Pass them on to the registry, the history and whoever watches over keys."""
        self._registry = registry
        self._recorder = recorder
        self._alarm = alarm
        self._clock = clock

    def take(self, report: Report, by: str, view: DispatcherView) -> dict[str, Any]:
        """Take in `report` of the user `by`, which is empty for nobody known.

        Raises Problem where it says nothing, or of a target that there is not, or what only somebody known may say.
        """
        _insist_on_sense(report, view)
        if not by and report.fault in _KEEPS_OTHERS_AWAY:
            message = (
                f"{report.fault} keeps everyone from {report.target}: report it over the Unix socket, or show a key of "
                "[keys]."
            )
            raise problem(RefusalKind.FORBIDDEN, message)
        target, now = TargetName(report.target), self._clock()
        outcome = Outcome(
            fault=report.fault,
            status=report.status,
            reason=_signed(report.reason, by),
            latency_s=report.latency_ms / 1e3,
        )
        request_id = f"rep_{_PROCESS}{next(_SERIAL):012x}"
        self._registry.post(
            AttemptCompleted(target=target, outcome=outcome, started_at=now - outcome.latency_s, at=now)
        )
        self._recorder.post(AttemptRow(at=now, request_id=request_id, number=1, target=target, outcome=outcome))
        self._alarm.attempted(target, outcome)
        return {"target": target, "request_id": request_id, "fault": report.fault}


def _insist_on_sense(report: Report, view: DispatcherView) -> None:
    if (report.ok is True) == (report.fault is not None):
        raise problem(RefusalKind.INVALID_REQUEST, 'Say either "ok": true or a "fault".')
    if report.ok and report.status is not None and report.status >= _ERRORS_FROM:
        message = f'"ok": true and the status {report.status} contradict each other; give a "fault" instead.'
        raise problem(RefusalKind.INVALID_REQUEST, message)
    if report.target not in view.routes.places:
        near = difflib.get_close_matches(report.target, view.routes.places, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise problem(RefusalKind.NOT_FOUND, f"There is no target {report.target!r}.{hint}")


def _signed(reason: str, by: str) -> str:
    """Return the reason as one short line that ends with who gave it."""
    source = f"reported by {by}" if by else "reported over TCP"
    said = _UNPRINTABLE.sub(" ", reason).strip()[: _LONGEST_REASON - len(source) - 3]
    return f"{said} ({source})" if said else source
