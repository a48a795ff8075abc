"""What is worth an alert: pure counts over virtual minutes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.alerts.policy import AlertPolicy
from daemon.alerts.watch import AlertKind, Answered, Recent, Watch
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


def test_a_key_that_works_now_and_then_is_told_of_once_in_every_while() -> None:
    """A 403 every other second is one alert a minute, and the next one says how many there were."""
    watch = Watch()
    told = [alert for second in range(121) for alert in watch.faulted(TARGET, Fault.PERMISSION, POLICY, float(second))]
    assert [(alert.at, alert.held_back) for alert in told] == [(0.0, 0), (60.0, 59), (120.0, 59)]


def test_looking_at_a_refused_key_again_is_no_refusal_more() -> None:
    """What a probe found out is told, and again after `every`; nobody's look is counted as held back."""
    watch = Watch()
    told = [alert for second in range(61) for alert in watch.seen(TARGET, Fault.AUTH, POLICY, float(second))]
    assert [(alert.at, alert.held_back) for alert in told] == [(0.0, 0), (60.0, 0)]


def test_one_key_is_told_of_once_however_many_models_it_pays_for() -> None:
    """A refused key or a spent quota concerns the account; a permission or a name, its model alone."""
    watch, models = Watch(), [TargetName(f"a/{name}") for name in "mno"]
    for fault in (Fault.AUTH, Fault.QUOTA):
        told = [alert for model in models for alert in watch.faulted(model, fault, POLICY, 0.0)]
        assert [alert.target for alert in told] == (["a/m"] if fault is Fault.AUTH else [])
    assert watch.faulted(TargetName("b/m"), Fault.QUOTA, POLICY, 0.0)
    assert sum(len(watch.faulted(model, Fault.PERMISSION, POLICY, 0.0)) for model in models) == 3


@pytest.mark.parametrize("windows", [(1.0, 100.0), (100.0, 1.0)])
def test_another_window_after_a_reload_leaves_nothing_behind(windows: tuple[float, float]) -> None:
    """Counts of the former window's unit would never age out, or be of the future for ever."""
    before, after = (msgspec.structs.replace(POLICY, window=Seconds(window)) for window in windows)
    watch = Watch()
    watch.ended("w", Answered.FAILED, before, 1000.0)
    watch.ended("w", Answered.WELL, after, 1001.0)
    assert watch.recent(after, 1001.0)["w"] == Recent(requests=1)
    assert watch.recent(after, 5000.0).get("w", Recent()) == Recent()


def test_streams_that_break_count_in_the_share_and_are_no_total_failure() -> None:
    """An answer that was cut is none; but somebody answered."""
    watch = Watch()
    told = [alert for n in range(10) for alert in watch.ended("w", Answered.CUT, POLICY, n / 10)]
    assert [alert.kind for alert in told] == [AlertKind.FALLBACK_RATE]
    assert watch.recent(POLICY, 1.0)["w"].share == 1.0


@given(st.lists(st.tuples(st.sampled_from(Fault), st.sampled_from(Answered), st.floats(0, 30)), max_size=200))
def test_no_alert_comes_more_often_than_the_policy_says(steps: list[tuple[Fault, Answered, float]]) -> None:
    """Whatever happens, two alerts of one kind about one thing are `every` apart."""
    watch, now, last = Watch(), 0.0, dict[object, float]()
    for fault, answered, pause in steps:
        now += pause
        for alert in (*watch.ended("w", answered, POLICY, now), *watch.faulted(TARGET, fault, POLICY, now)):
            assert now - last.get(alert.key, -60.0) >= 60.0
            assert alert.kind is not AlertKind.CREDENTIAL or fault in {*ENTITLEMENT, Fault.QUOTA}
            last[alert.key] = now
