"""What the log is told of requests that were refused, or found no answer. Never the words that the client is given."""

from __future__ import annotations

from typing import Final

import structlog

from daemon.faces.refusals import Refusal, RefusalKind
from state.faults import FAULT_RULES, Blame
from state.history.rows import RequestRow

__all__ = ["say_refused", "say_unanswered"]

_log = structlog.get_logger("fairlead.requests")
_BY_POLICY: Final = frozenset(
    {
        RefusalKind.BODY_TOO_LARGE,
        RefusalKind.INPUT_TOO_LONG,
        RefusalKind.INCOMPATIBLE,
        RefusalKind.NO_TARGET,
        RefusalKind.QUEUE_FULL,
        RefusalKind.FORBIDDEN,
        RefusalKind.NOT_OPERATOR,
        RefusalKind.NOT_SPEAKER,
    }
)
"""What somebody has configured, and might look for. The rest is the client's own mistake, a matter for `debug`."""
_TOLD_ELSEWHERE: Final = frozenset(
    {RefusalKind.LIMITED, RefusalKind.BUDGET, RefusalKind.INTERNAL, RefusalKind.INVALID_CONFIGURATION}
)
"""By the events `limited`, with the limit's name, `request_failed` and `reload_refused`."""


def say_refused(refusal: Refusal, request_id: str | None, workload: str | None = None) -> None:
    """Tell why a request was refused: its kind alone, for the message may repeat what the client sent."""
    if refusal.kind not in _TOLD_ELSEWHERE:
        say = _log.info if refusal.kind in _BY_POLICY else _log.debug
        say("refused", request_id=request_id, workload=workload, reason=refusal.kind.value, status=refusal.status)


def say_unanswered(row: RequestRow) -> None:
    """Tell of a client's request that targets failed in the end, with an error or in the middle of a stream.

    What the request itself is to blame for is the client's to read.
    """
    if row.purpose != "client" or row.outcome not in {"failed", "cut"}:
        return
    if row.fault is not None and FAULT_RULES[row.fault].blame in {Blame.CALLER, Blame.POLICY}:
        return
    _log.warning(
        "unanswered",
        request_id=row.request_id,
        workload=row.workload,
        fault=row.fault,
        outcome=row.outcome,
        status=row.status,
        attempts=row.attempts,
        degraded=row.degraded,
    )
