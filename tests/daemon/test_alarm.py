"""From rows and attempts to alerts: in the history, and on their way out."""

from __future__ import annotations

from msgspec.structs import replace

from daemon.alerts.alarm import Alarm
from daemon.alerts.policy import AlertPolicy
from daemon.alerts.watch import Alert, Recent
from state.faults import Fault
from state.history.rows import AlertRow, RecorderMessage, RequestRow
from state.mailbox import Mailbox
from state.outcome import Outcome
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName

ONE, OTHER = TargetName("a/m"), TargetName("a/n")
ROW = RequestRow(
    at=0.0,
    request_id="r",
    workload="w",
    primary_target=ONE,
    served_by=ONE,
    attempts=1,
    outcome="ok",
    status=200,
    latency_s=0.1,
)


def alarm() -> tuple[Alarm, Mailbox[Alert], Mailbox[RecorderMessage]]:
    """Return an alarm, what it sends out and what it writes down."""
    herald: Mailbox[Alert] = Mailbox()
    rows: Mailbox[RecorderMessage] = Mailbox()
    policy = AlertPolicy(min_requests=2)
    return Alarm(lambda: policy, herald.address, rows.address, lambda: 100.0), herald, rows


def test_a_stream_that_broke_is_counted_and_told_of_as_a_rate() -> None:
    """Two of three streams that broke are more than half of what the primary path should have answered."""
    one, herald, _ = alarm()
    one.ended(ROW, None)
    for _ in range(2):
        one.ended(replace(ROW, outcome="cut", fault=Fault.CUT, streamed=True), None)
    assert one.recent()["w"] == Recent(requests=3, cut=2)
    assert [alert.kind for alert in herald.take_all()] == ["fallback_rate"]


def test_a_client_that_left_is_not_counted() -> None:
    """It is nobody else's affair."""
    one, _, _ = alarm()
    one.ended(replace(ROW, outcome="cancelled", fault=Fault.CANCELLED), None)
    assert one.recent() == {}


def test_what_requests_and_probes_find_out_of_one_key_is_one_alert() -> None:
    """In the history and on its way out, though the registry tells every target of the key."""
    one, herald, rows = alarm()
    targets = {
        name: TargetHealth(target=name, standing=Standing.HEALTHY, refused_by=Fault.AUTH) for name in (ONE, OTHER)
    }
    one.look(HealthSnapshot(targets=targets))
    one.attempted(OTHER, Outcome(fault=Fault.AUTH, status=401))
    one.look(HealthSnapshot(targets=targets))
    assert [alert.target for alert in herald.take_all()] == [ONE]
    assert [row.target for row in rows.take_all() if isinstance(row, AlertRow)] == [ONE]
