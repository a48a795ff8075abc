"""What the log is told of requests that nobody answered: once, at a level that fits, and no words of others."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from daemon.faces.refusals import Refusal, RefusalKind
from daemon.faces.telling import say_refused, say_unanswered
from state.faults import Fault
from state.history.rows import RequestRow


def _row(outcome: str, fault: Fault | None, purpose: str = "client") -> RequestRow:
    return RequestRow(
        at=0.0,
        request_id="req_1",
        workload="w",
        primary_target=None,
        served_by=None,
        attempts=1,
        outcome=outcome,
        fault=fault,
        status=502,
        latency_s=1.0,
        purpose=purpose,
    )


@pytest.mark.parametrize(
    ("kind", "levels"),
    [
        (RefusalKind.NOT_OPERATOR, ["info"]),
        (RefusalKind.INPUT_TOO_LONG, ["info"]),
        (RefusalKind.INVALID_BODY, ["debug"]),
        (RefusalKind.BUDGET, []),
    ],
)
def test_a_refusal_is_told_once_and_without_its_words(kind: RefusalKind, levels: list[str]) -> None:
    """Law: what somebody configured is info, a client's slip debug, and a limit is told by its own event."""
    with capture_logs() as lines:
        say_refused(Refusal(kind=kind, message="what the client sent"), "req_1", "w")
    assert [line["log_level"] for line in lines] == levels
    assert "what the client sent" not in str(lines)


@pytest.mark.parametrize(
    ("row", "events"),
    [
        (_row("failed", Fault.TIMEOUT), ["unanswered"]),
        (_row("cut", Fault.CUT), ["unanswered"]),
        (_row("failed", Fault.INVALID_REQUEST), []),
        (_row("failed", Fault.TIMEOUT, "shadow"), []),
        (_row("ok", None), []),
    ],
)
def test_a_client_without_an_answer_is_a_warning(row: RequestRow, events: list[str]) -> None:
    """Law: where targets failed it; what the request itself is to blame for, or a copy meets, is nobody's alarm."""
    with capture_logs() as lines:
        say_unanswered(row)
    assert [line["event"] for line in lines] == events
