"""Laws of what is kept of a target: a belief survives a restart, and a forecast says what the estimator says."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from state.latency.belief import Belief, read_belief
from state.latency.cold import Cold
from state.latency.estimator import NEWCOMER, Estimator
from state.latency.forecast import forecast_of
from state.latency.knee import Knee
from state.latency.level import Level, expected, sure_until, variance_at
from state.latency.reliability import Reliability

TIMES = st.floats(-1e6, 1e6)
OR_EVER = st.one_of(st.just(math.inf), st.floats(1.0, 1e4))
LEVELS = st.builds(
    Level,
    mean=st.floats(-10.0, 10.0),
    variance=st.floats(0.0, 1.0),
    noise=st.floats(0.01, 0.4),
    tail=st.floats(1.0, 3.0),
    run=st.integers(-1, 1),
    at=TIMES,
    count=st.integers(0, 10**6),
    steady=st.integers(0, 10**6),
)
ESTIMATORS = st.builds(
    Estimator,
    first=LEVELS,
    pace=LEVELS,
    best=st.one_of(st.just(math.inf), st.floats(-10.0, 10.0)),
    best_pace=st.one_of(st.just(math.inf), st.floats(-10.0, 10.0)),
    service_s=st.floats(0.01, 600.0),
    knee=st.builds(Knee, at_once=OR_EVER, fine=st.floats(0.5, 500.0), slow=st.integers(0, 3)),
    cold=st.builds(Cold, extra_s=st.floats(0.0, 60.0), gap_s=OR_EVER),
)
RELIABILITIES = st.builds(
    Reliability,
    failed=st.floats(0.0, 100.0),
    total=st.floats(100.0, 200.0),
    failure_s=st.floats(0.0, 60.0),
    cuts=st.floats(0.0, 10.0),
    streams=st.floats(10.0, 20.0),
    at=TIMES,
    run=st.integers(0, 9),
)
BELIEFS = st.builds(Belief, estimator=ESTIMATORS, reliability=RELIABILITIES, at=TIMES)
KNOWN = Belief(estimator=replace(NEWCOMER, best=-1.0, knee=Knee(4.0), cold=Cold(2.0, 60.0)), at=5.0)


@given(BELIEFS)
def test_a_belief_survives_being_written_down(belief: Belief) -> None:
    """Read back it is what it was at moment zero, infinities included; and the text is JSON for anybody."""
    text = belief.as_json()
    assert read_belief(text) == belief.moved(0.0)
    assert "Infinity" not in text
    assert "null" not in text
    assert json.loads(text)["at"] == 0.0


@given(BELIEFS, TIMES, st.floats(0.0, 1e5))
def test_a_belief_moves_to_another_clock(belief: Belief, to: float, later: float) -> None:
    """What was believed so many seconds after it was written is believed as long after, on the other clock."""
    moved, old, new = belief.moved(to), belief.at + later, to + later
    for one, other in (
        (belief.estimator.first, moved.estimator.first),
        (belief.estimator.pace, moved.estimator.pace),
    ):
        assert variance_at(other, new) == pytest.approx(variance_at(one, old), abs=1e-6)
        assert expected(other, new) == pytest.approx(expected(one, old), rel=1e-3)
    assert replace(moved.estimator, first=belief.estimator.first, pace=belief.estimator.pace) == belief.estimator
    assert moved.at == to
    if later >= belief.reliability.at - belief.at:
        share = belief.reliability.error_share(old)
        assert moved.reliability.error_share(new) == pytest.approx(share, rel=1e-3)


def test_a_newcomer_is_written_in_little_and_read_as_a_newcomer() -> None:
    """What is infinite is left out."""
    text = Belief(at=17.0).as_json()
    assert not {"best", "best_pace"} & set(json.loads(text)["estimator"])
    belief = read_belief(text)
    assert belief is not None
    assert (belief.estimator.best, belief.estimator.knee.at_once, belief.estimator.cold.gap_s) == (math.inf,) * 3


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '{"estimator": 7}', b"\xff\xfe", '"belief"', "1e999"])
def test_what_cannot_be_read_is_nothing(text: str | bytes) -> None:
    """A restart without a belief is a slow start; one that stops at it is none."""
    assert read_belief(text) is None


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        (("first", "mean"), 1e9),
        (("first", "noise"), 0.0),
        (("pace", "noise"), -1.0),
        (("pace", "variance"), -0.5),
        (("first", "variance"), None),
        (("service_s",), 0.0),
        (("knee", "at_once"), 0.0),
        (("knee", "at_once"), "many"),
    ],
)
def test_what_no_version_can_have_meant_is_nothing(part: tuple[str, ...], wrong: object) -> None:
    """A figure by which nothing could be computed spoils the whole: half a belief is a wrong one."""
    told = json.loads(KNOWN.as_json())
    *way, last = part
    held = told["estimator"]
    for name in way:
        held = held[name]
    held[last] = wrong
    assert read_belief(json.dumps(told)) is None
    assert read_belief(KNOWN.as_json()) == KNOWN.moved(0.0)


def test_what_a_later_version_adds_is_passed_over() -> None:
    """A downgrade reads what it knows."""
    told = {**json.loads(KNOWN.as_json()), "mood": "hopeful"}
    assert read_belief(json.dumps(told)) == KNOWN.moved(0.0)


@given(ESTIMATORS, st.floats(0.0, 1e5))
def test_a_forecast_is_what_the_estimator_says(estimator: Estimator, later: float) -> None:
    """Computed once, and the same as if it were asked at the moment, until it says that it is not sure any more."""
    forecast = forecast_of(estimator)
    assert forecast.sure_until == sure_until(estimator.first)
    assert forecast.token_s == pytest.approx(math.exp(estimator.pace.mean) * estimator.pace.tail)
    now = forecast.sure_until - later - 1e-3
    if now >= estimator.first.at:
        assert forecast.first_s == pytest.approx(expected(estimator.first, now))
    if forecast.simple:
        assert estimator.wait_s(999) == estimator.cold.wait(1e9) == 0.0


def test_the_newcomers_forecast_is_no_exception() -> None:
    """It is computed beforehand, and must not differ from that of an equal estimator."""
    assert forecast_of(NEWCOMER) == forecast_of(replace(NEWCOMER, service_s=NEWCOMER.service_s))
