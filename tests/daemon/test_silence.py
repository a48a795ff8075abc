"""Silence, trials and returns: what the choice makes of the moment, beyond what is believed of each target."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.routing.latency import Contender, Silence, by_latency, patience_s
from daemon.routing.leases import Candidate, Choice, RouteQuery
from daemon.routing.policy import Strategy, Workload
from daemon.routing.strategies.strategy import Turn
from daemon.routing.tally import Tally
from daemon.routing.traffic import Traffic, allowance_s
from probes.surfaces import Surface
from state.health import fold
from state.latency.cold import Cold
from state.latency.estimator import Estimator
from state.latency.knee import Knee
from state.latency.level import Level
from state.latency.reliability import Reliability
from state.policy import EstimatorKind, HealthPolicy
from state.record import Record, view
from state.standing import Standing, TargetHealth
from state.targets import TargetName
from tests.rigs.evidence import answered

NOW = 1000.0
A, B = TargetName("a/m"), TargetName("b/m")
QUERY = RouteQuery(
    request_id="r", workload=Workload(name="w", targets=(A, B)), surface=Surface.CHAT, streamed=True, tokens=7
)


def known(target: TargetName = A, first_s: float = 1.0, **more: object) -> TargetHealth:
    """Return a healthy target of which much is known: its first token, and 10 ms for each other."""
    level = Level(math.log(first_s), variance=0.0, tail=1.0, noise=0.02, at=NOW, count=20)
    estimator = Estimator(first=level, pace=replace(level, mean=math.log(0.01)))
    return TargetHealth(**{"target": target, "standing": Standing.HEALTHY, "estimator": estimator, **more})


def score(health: TargetHealth, silences: Sequence[Silence] = (), **more: float) -> float:
    """Return the score of a target for an answer of a hundred tokens."""
    contender = Contender(0, health, int(more.get("in_flight", 0)), tuple(silences), more.get("idle_s", 0.0))
    return by_latency([contender], 100.0, more.get("now", NOW))[0][0]


def choice(target: TargetName = A, **terms: float) -> Choice:
    """Return a choice of `target` whose score had these terms."""
    candidates = (Candidate(B, 2.0, {"wait_s": 99.0}), Candidate(target, 1.0, terms))
    return Choice(chosen=target, strategy=Strategy.LOWEST_LATENCY, reason="", candidates=candidates, seed=0)


class Road:
    """Traffic at target A, whose health may be changed, and the score that follows."""

    def __init__(self) -> None:
        """Start with nothing under way."""
        self.traffic = Traffic()
        self.health = known()

    def send(self, ticket: int, at: float, **terms: float) -> None:
        """Send a streamed request."""
        self.traffic.depart(ticket, choice(**terms), QUERY, self.health, at)

    def score(self, now: float) -> float:
        """Return the score at `now`."""
        silences = self.traffic.load(Turn(), now).silences.get(A, ())
        return score(self.health, silences, now=now)


def test_silence_is_evidence_before_it_times_out() -> None:
    """Beyond the expected first token one silent request makes its target look worse, the more the longer."""
    road = Road()
    usual = road.score(NOW)
    road.send(1, NOW)
    assert road.score(NOW + 0.9) == pytest.approx(usual)
    scores = [road.score(NOW + age) for age in (1.5, 3.0, 9.0)]
    assert usual < scores[0] < scores[1] < scores[2]
    assert scores[2] == pytest.approx(9.0 * 1.6 + 1.0, rel=0.05)


def test_two_silent_requests_are_worse_than_one() -> None:
    """That two at once are stragglers is unlikely; ten that were sent a moment ago say nothing yet."""
    one, two, young = Road(), Road(), Road()
    one.send(1, NOW)
    for ticket in (1, 2):
        two.send(ticket, NOW + 0.1 * ticket)
    for ticket in range(10):
        young.send(ticket, NOW + 3.0)
    assert two.score(NOW + 4.0) > one.score(NOW + 4.0) * 1.5
    assert young.score(NOW + 3.5) == pytest.approx(young.score(NOW + 3.0))


def test_a_later_answer_clears_the_silence_of_earlier_requests() -> None:
    """They are stragglers: the target answers. Those that were sent later stay evidence."""
    road = Road()
    for ticket in (1, 2, 3):
        road.send(ticket, NOW + ticket)
    road.traffic.answered(2)
    assert [silence.since for silence in road.traffic.load(Turn(), NOW + 9.0).silences[A]] == [NOW + 3.0]
    road.traffic.answered(3)
    assert road.score(NOW + 9.0) == pytest.approx(score(road.health))


def test_an_answer_that_the_registry_heard_of_clears_it_too() -> None:
    """A canary that was sent later and was answered: the target is not dead."""
    road = Road()
    road.send(1, NOW)
    suspected = road.score(NOW + 5.0)
    road.health = replace(road.health, answered_from=NOW + 1.0)
    assert road.score(NOW + 5.0) < suspected
    assert road.score(NOW + 5.0) == pytest.approx(score(road.health))


def test_who_was_given_up_is_remembered_for_ten_seconds() -> None:
    """The suspicion stays as great as it was at the end, and then it is forgotten."""
    road = Road()
    road.send(1, NOW)
    at_end = road.score(NOW + 5.0)
    assert road.traffic.end(1, NOW + 5.0)
    assert road.score(NOW + 14.9) == pytest.approx(at_end, rel=0.05)
    assert road.score(NOW + 15.1) == pytest.approx(score(road.health, now=NOW + 15.1))
    assert not road.traffic.load(Turn(), NOW + 15.1).silences


def test_who_has_answered_leaves_nothing_behind() -> None:
    """An end after a first token is no silence, and nobody ends twice."""
    road = Road()
    road.send(1, NOW)
    assert 1 in road.traffic
    road.traffic.answered(1)
    assert road.traffic.end(1, NOW + 60.0)
    assert not road.traffic.end(1, NOW + 60.0)
    assert not road.traffic.end(2, NOW + 60.0)
    road.traffic.answered(2)
    assert 1 not in road.traffic
    assert road.score(NOW + 61.0) == pytest.approx(score(road.health, now=NOW + 61.0))


@pytest.mark.parametrize(
    ("streamed", "terms", "allowed_s"),
    [
        (True, {"generation_s": 5.0}, 0.0),
        (False, {"generation_s": 5.0}, 5.0),
        (True, {"wait_s": 2.0, "generation_s": 5.0}, 2.0),
        (False, {"wait_s": 2.0, "generation_s": 5.0}, 7.0),
        (False, {}, 0.0),
    ],
)
def test_a_plain_answer_is_allowed_to_be_silent_while_it_is_written(
    streamed: bool,  # noqa: FBT001
    terms: dict[str, float],
    allowed_s: float,
) -> None:
    """And whoever stands in a queue that is known, while it stands there."""
    query = replace(QUERY, streamed=streamed)
    assert allowance_s(choice(**terms), query) == allowed_s
    traffic = Traffic()
    traffic.depart(1, choice(**terms), query, known(), NOW)
    silence = traffic.load(Turn(), NOW).silences[A][0]
    assert silence.age_s(NOW + 10.0) == 10.0 - allowed_s


def test_a_departure_tells_the_load_and_the_pause() -> None:
    """How many are there with it, and for how long nobody was."""
    traffic = Traffic()
    departures = [traffic.depart(ticket, choice(), QUERY, known(), NOW + 5.0 * ticket)[1] for ticket in (0, 1)]
    assert [(each.in_flight, each.idle_s) for each in departures] == [(1, 0.0), (2, 0.0)]
    for ticket in (0, 1):
        traffic.end(ticket, NOW + 6.0)
    assert traffic.depart(2, choice(), QUERY, known(), NOW + 65.0)[1].idle_s == 60.0
    assert traffic.asked_at == NOW + 65.0
    assert Traffic().asked_at == -math.inf


@given(st.lists(st.tuples(st.sampled_from(["take", "trial", "back"]), st.integers(0, 9)), max_size=60))
def test_what_is_taken_is_given_back_once(steps: list[tuple[str, int]]) -> None:
    """No order of leases makes a count negative or leaves one behind; what was sent only grows."""
    tally, out, sent = Tally(), set[int](), 0
    for ticket, (what, which) in enumerate(steps):
        if what == "back":
            assert tally.give_back(which) == (which in out)
            out.discard(which)
            continue
        held = (tally.take if what == "take" else tally.take_trial)(ticket, A, 7)
        out.add(ticket)
        sent += 1
        assert (held.ordinal, held.tokens_sent, held.trial) == (sent, 7 * sent, what == "trial")
        assert tally.targets[A] == tally.providers["a"] == len(out)
        assert 0 <= tally.trials[A] <= len(out)
    for ticket in out:
        tally.give_back(ticket)
    assert not any([*tally.targets.values(), *tally.providers.values(), *tally.trials.values()])
    assert tally.sent[A] == sent


def test_the_plain_average_stands_for_the_estimator_where_it_is_wanted() -> None:
    """Silence, load and pauses change nothing; failures still cost."""
    both = Record(target=A, since=0.0)
    for took in (3.0, 5.0):
        both = fold(both, answered(NOW, took, A), HealthPolicy())
    with_view = view(both, NOW, EstimatorKind.MEAN)
    assert view(both, NOW).mean_s is None
    silences = [Silence(NOW - 60.0)]
    assert score(with_view) == score(with_view, silences, in_flight=50) == pytest.approx(4.0, rel=0.02)
    failing = replace(with_view, reliability=Reliability(failed=3.0, total=6.0, at=NOW, run=3))
    assert score(failing) > score(with_view) * 1.1


def test_queues_and_cold_starts_are_added_where_they_apply() -> None:
    """Known ones, at the load and after the pause that there is."""
    health = known()
    queued = replace(health, estimator=replace(health.estimator, knee=Knee(4.0), service_s=2.0))
    assert score(queued, in_flight=2) == pytest.approx(score(health), rel=0.01)
    assert score(queued, in_flight=11) == pytest.approx(score(health) + 4.0, rel=0.02)
    cold = replace(health, estimator=replace(health.estimator, cold=Cold(5.0, 60.0)))
    assert score(cold, idle_s=59.0) == pytest.approx(score(health), rel=0.01)
    assert score(cold, idle_s=61.0) == pytest.approx(score(health) + 5.0, rel=0.02)


@given(st.floats(0.0, 1.0), st.floats(0.05, 20.0))
def test_a_failing_target_costs_the_next_one_too(failed: float, first_s: float) -> None:
    """However quickly it fails: where others are as fast, the worse of two is never chosen."""
    failing = known(A, first_s, reliability=Reliability(failed=10.0 * failed, total=10.0, failure_s=0.001, at=NOW))
    sound = known(B, first_s, reliability=Reliability(total=10.0, failure_s=0.001, at=NOW))
    scores = by_latency([Contender(0, failing, 0), Contender(1, sound, 0)], 100.0, NOW)
    if failed > 0.01:
        assert scores[0][0] > scores[1][0]


@pytest.mark.parametrize(
    ("terms", "at_most", "expected"),
    [
        ({}, 30.0, 30.0),
        ({"first_p99_s": 0.1}, 30.0, 10.0),
        ({"first_p99_s": 2.0}, 30.0, 16.0),
        ({"first_p99_s": 2.0, "wait_s": 3.0}, 30.0, 19.0),
        ({"first_p99_s": 9.0}, 30.0, 30.0),
        ({"first_p99_s": 0.1}, 4.0, 4.0),
        ({"first_p99_s": 9.0}, 4.0, 4.0),
    ],
)
def test_patience_is_eight_times_the_slowest_usual(terms: dict[str, float], at_most: float, expected: float) -> None:
    """From ten seconds to what the provider's timeout says, which is the bound in any case."""
    assert patience_s(terms, at_most) == pytest.approx(expected)
