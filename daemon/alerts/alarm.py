"""Where requests say how they ended: from there alerts go to the log, the history and the herald."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from daemon.alerts.policy import AlertPolicy
from daemon.alerts.watch import Alert, Answered, Recent, Watch
from state.faults import ENTITLEMENT, Blame
from state.history.rows import AlertRow, RecorderMessage, RequestRow
from state.mailbox import Address
from state.outcome import Outcome
from state.standing import HealthSnapshot
from state.targets import TargetName

__all__ = ["Alarm"]

_log = structlog.get_logger("fairlead.alerts")
_SERVER_ERRORS_FROM = 500


class Alarm:
    """Owns the watch. Its methods are called on a session's turn and never wait."""

    def __init__(
        self,
        policy: Callable[[], AlertPolicy],
        herald: Address[Alert],
        recorder: Address[RecorderMessage],
        clock: Callable[[], float],
    ) -> None:
        """Raise alerts by the policy in force; `clock` gives monotonic seconds."""
        self._policy = policy
        self._herald = herald
        self._recorder = recorder
        self._clock = clock
        self._watch = Watch()

    def attempted(self, target: TargetName, outcome: Outcome) -> None:
        """Take in how an attempt ended."""
        if outcome.fault is not None:
            self._raise(self._watch.faulted(target, outcome.fault, self._policy(), self._clock()))

    def ended(self, row: RequestRow, fell_back: TargetName | None) -> None:
        """Take in how a client's request ended, and from where it fell back; nobody waits for any other."""
        if row.purpose != "client":
            return
        answered = _answered(row, fell_back)
        self._raise(self._watch.ended(row.workload, answered, self._policy(), self._clock()))

    def budget(self, account: str, message: str) -> None:
        """Take in that a limit in dollars is used up, or nearly."""
        self._raise(self._watch.spent(account, message, self._policy(), self._clock()))

    def look(self, snapshot: HealthSnapshot) -> None:
        """Take in what probes found out of keys, without a request."""
        for target, health in snapshot.targets.items():
            if health.refused_by is not None:
                self._raise(self._watch.seen(target, health.refused_by, self._policy(), self._clock()))

    def recent(self) -> Mapping[str, Recent]:
        """Return how the requests of each workload ended within the policy's window."""
        return self._watch.recent(self._policy(), self._clock())

    def _raise(self, alerts: tuple[Alert, ...]) -> None:
        for alert in alerts:
            _log.warning(
                "alert",
                kind=alert.kind.value,
                workload=alert.workload,
                target=alert.target,
                message=alert.message,
                held_back=alert.held_back,
            )
            self._recorder.post(
                AlertRow(
                    at=alert.at,
                    kind=alert.kind.value,
                    workload=alert.workload,
                    target=alert.target,
                    message=alert.message,
                )
            )
            self._herald.post(alert)


def _answered(row: RequestRow, fell_back: TargetName | None) -> Answered:
    if row.degraded in {"static", "cache"}:
        return Answered.DEGRADED
    match row.outcome:
        case "ok":
            return Answered.WELL if fell_back is None else Answered.BY_FALLBACK
        case "cut":
            return Answered.CUT
        case "failed" if row.fault is not None and row.fault not in ENTITLEMENT and not _callers(row):
            return Answered.FAILED
        case "refused" if row.status >= _SERVER_ERRORS_FROM:
            return Answered.FAILED
        case _:
            return Answered.OTHERWISE


def _callers(row: RequestRow) -> bool:
    return row.fault is not None and Outcome(fault=row.fault).blame in {Blame.CALLER, Blame.POLICY}
