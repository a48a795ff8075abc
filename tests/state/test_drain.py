"""Laws of a drain: an operator's wish, beside the standing."""

from __future__ import annotations

from state.health import drain, fold, resume, tick
from state.policy import HealthPolicy
from state.record import Record, next_wake, view
from state.standing import Standing
from tests.rigs.evidence import TARGET, answered

POLICY = HealthPolicy()


def test_a_drain_is_a_wish_beside_the_standing() -> None:
    """Draining and resuming leave standing and evidence alone; a drained target is not ready."""
    healthy = fold(Record(target=TARGET), answered(1.0), POLICY)
    record = drain(healthy, None, "upgrade")
    seen = view(record, 5.0)
    assert (seen.standing, seen.drained, seen.drained_until, seen.drain_reason) == (
        Standing.HEALTHY,
        True,
        None,
        "upgrade",
    )
    assert not seen.ready
    assert tick(record, POLICY, 400.0).drained
    assert resume(record) == healthy


def test_a_drain_with_an_end_ends() -> None:
    """At its time the target takes requests again."""
    record = drain(Record(target=TARGET), 30.0, "")
    assert next_wake(record) == 30.0
    assert tick(record, POLICY, 29.9).drained
    assert tick(record, POLICY, 30.0) == Record(target=TARGET)
