"""What is worth an alert: pure counts over virtual minutes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.alerts.policy import AlertPolicy
from daemon.alerts.watch import AlertKind, Answered, Watch
from state.durations import Seconds
from state.faults import ENTITLEMENT, Fault
from state.targets import TargetName

POLICY = AlertPolicy(every=Seconds(60), window=Seconds(100), min_requests=10, fallback_rate=0.5)
TARGET = TargetName("a/m")


def test_a_total_failure_is_told_at_once_and_then_with_what_was_held_back() -> None:
    """The first one right away; the next after `every`, with the number of those in between."""
    watch = Watch()
    told = [alert for second in range(61) for alert in watch.ended("w", Answered.FAILED, POLICY, float(second))]
    assert [(alert.kind, alert.at, alert.held_back) for alert in told if alert.kind is AlertKind.TOTAL_FAILURE] == [
        (AlertKind.TOTAL_FAILURE, 0.0, 0),
        (AlertKind.TOTAL_FAILURE, 60.0, 59),
    ]


def test_a_rate_needs_enough_requests_and_more_than_its_share() -> None:
    """Nine fallbacks are no rate; ten of ten are; half of them are not more than half."""
    watch = Watch()
    assert not [a for n in range(9) for a in watch.ended("w", Answered.BY_FALLBACK, POLICY, n / 10)]
    (alert,) = watch.ended("w", Answered.BY_FALLBACK, POLICY, 1.0)
    assert alert.kind is AlertKind.FALLBACK_RATE
    half = Watch()
    endings = [Answered.WELL, Answered.BY_FALLBACK] * 20
    assert not [a for n, ending in enumerate(endings) for a in half.ended("w", ending, POLICY, n / 10)]


def test_what_lies_before_the_window_is_forgotten() -> None:
    """Fallbacks of long ago are no rate of now."""
    watch = Watch()
    for n in range(50):
        watch.ended("w", Answered.BY_FALLBACK, POLICY, n / 10)
    watch.ended("w", Answered.WELL, POLICY, 500.0)
    assert watch.recent(POLICY, 500.0)["w"].requests == 1


def test_a_key_that_stopped_working_is_told_once_until_it_works_again() -> None:
    """Each 401 is not news; one after a success is."""
    watch = Watch()
    assert len(watch.faulted(TARGET, Fault.AUTH, POLICY, 0.0)) == 1
    assert not watch.faulted(TARGET, Fault.AUTH, POLICY, 1.0)
    watch.succeeded(TARGET)
    assert len(watch.faulted(TARGET, Fault.AUTH, POLICY, 2.0)) == 1


@given(st.lists(st.tuples(st.sampled_from(Fault), st.sampled_from(Answered), st.floats(0, 30)), max_size=200))
def test_no_alert_comes_more_often_than_the_policy_says(steps: list[tuple[Fault, Answered, float]]) -> None:
    """Whatever happens, two alerts of one kind about one thing are `every` apart, unless a key worked in between."""
    watch, now, last = Watch(), 0.0, dict[object, float]()
    for fault, answered, pause in steps:
        now += pause
        for alert in (*watch.ended("w", answered, POLICY, now), *watch.faulted(TARGET, fault, POLICY, now)):
            assert now - last.get(alert.key, -60.0) >= 60.0
            assert alert.kind is not AlertKind.CREDENTIAL or fault in {*ENTITLEMENT, Fault.QUOTA}
            last[alert.key] = now
