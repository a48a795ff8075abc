"""Laws of evidence on its way into what is believed: first tokens, requests that were given up, and trials."""

from __future__ import annotations

import math
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from state.durations import Seconds
from state.faults import Blame, Fault
from state.health import begin, fold, tick
from state.latency.level import p99
from state.messages import AnswerBegan, AttemptCompleted
from state.observation import excuses
from state.outcome import Outcome, ProbeKind
from state.policy import HealthPolicy
from state.record import Record, view
from state.returning import SLOW_START, check_from, grown, neglected, shrunk, trials_needed
from state.standing import Standing
from tests.rigs.evidence import TARGET, answered, attempt, failed, probed

POLICY = HealthPolicy(vouch=Seconds(15))
FRESH = Record(target=TARGET, since=0.0)


def begun(at: float, first_s: float = 1.0, **more: object) -> AnswerBegan:
    """Return evidence of a first token that came at `at`."""
    return AnswerBegan(**{"target": TARGET, "first_s": first_s, "started_at": at - first_s, "at": at, **more})


def streamed(at: float, first_s: float = 1.0, rest_s: float = 2.0, **more: object) -> AttemptCompleted:
    """Return evidence of a stream of a hundred tokens that ended at `at`, its first token already told."""
    outcome = Outcome(status=200, first_byte_s=first_s, latency_s=first_s + rest_s, streamed=True, tokens=100)
    ended = AttemptCompleted(target=TARGET, outcome=outcome, started_at=at - outcome.latency_s, at=at, began=True)
    return replace(ended, **more)


def given_up(at: float, waited: float) -> AttemptCompleted:
    """Return evidence of a stream that was left for another target before its first token."""
    return attempt(
        Outcome(fault=Fault.CANCELLED, latency_s=waited, streamed=True, at_fault=Blame.OURSELVES), at, waited
    )


def known(first_s: float = 1.0) -> Record:
    """Return a healthy target after twenty streams."""
    record = FRESH
    for number in range(20):
        at = 10.0 * (number + 1)
        record = fold(begin(record, begun(at, first_s), POLICY), streamed(at + 2.0, first_s), POLICY)
    return record


def fallen(at: float = 300.0) -> Record:
    """Return a target that three faults have just ejected."""
    return reduce(lambda held, second: fold(held, failed(at + second), POLICY), range(3), known())


def test_a_first_token_is_counted_once() -> None:
    """Told when it comes, it is not learned again when the stream ends; untold, it is learned then."""
    record = known()
    told = begin(record, begun(300.0, 1.5), POLICY)
    assert told.estimator.first.count == record.estimator.first.count + 1
    assert fold(told, streamed(302.0, 1.5), POLICY).estimator.first == told.estimator.first
    untold = fold(record, streamed(302.0, 1.5, began=False), POLICY)
    assert untold.estimator.first.count == record.estimator.first.count + 1


def test_a_first_token_judges_no_more_than_a_trial() -> None:
    """A stream that has begun may still break: it ends no run of faults, and lifts a block only if sent after it."""
    record = fold(known(), failed(300.0), POLICY)
    assert begin(record, begun(302.0), POLICY).request_faults == 1
    blocked = fold(known(), failed(300.0, Fault.RATE_LIMITED), POLICY)
    assert begin(blocked, begun(300.3, 2.0), POLICY).block == blocked.block
    assert begin(blocked, begun(303.0, 2.0), POLICY).block.until == -math.inf


@pytest.mark.parametrize(
    ("standing", "sent", "expected"),
    [
        (Standing.UNPROVEN, 1.0, Standing.UNPROVEN),
        (Standing.HEALTHY, 1.0, Standing.HEALTHY),
        (Standing.PROBATION, 1.0, Standing.HEALTHY),
        (Standing.PROBATION, -1.0, Standing.PROBATION),
        (Standing.COOLING, 1.0, Standing.COOLING),
    ],
)
def test_a_trial_is_judged_by_its_first_token(standing: Standing, sent: float, expected: Standing) -> None:
    """And by that of what was sent since the standing began; a cooling or unproven target waits for the end."""
    until = 900.0 if standing is Standing.COOLING else math.inf
    record = replace(FRESH, standing=standing, since=100.0, until=until)
    seen = AnswerBegan(target=TARGET, first_s=1.0, started_at=100.0 + sent, at=102.0)
    assert begin(record, seen, POLICY).standing is expected


def test_a_trial_whose_end_comes_after_its_first_token_counts_once() -> None:
    """With two trials needed, one stream is one, though it is heard of twice."""
    policy = replace(POLICY, rise=2)
    record = replace(FRESH, standing=Standing.PROBATION, since=100.0)
    once = begin(record, begun(102.0), policy)
    assert (once.standing, once.successes) == (Standing.PROBATION, 1)
    ended = fold(once, streamed(104.0), policy)
    assert (ended.standing, ended.successes) == (Standing.PROBATION, 1)
    assert begin(ended, begun(106.0), policy).standing is Standing.HEALTHY


@given(st.floats(0.0, 100.0))
def test_a_request_given_up_is_evidence_of_slowness_and_of_nothing_else(waited: float) -> None:
    """It never ejects: it was slow where it waited longer than usual, and half a failure where far longer."""
    before = known()
    after = fold(before, given_up(400.0, waited), POLICY)
    assert (after.standing, after.request_faults, after.outcomes) == (before.standing, 0, before.outcomes)
    assert after.estimator.first.mean >= before.estimator.first.mean
    telling = waited > 5.0 * p99(before.estimator.first, 400.0)
    assert (after.reliability.failed > before.reliability.failed) == telling
    assert (after.seen_at == 400.0) == (after.estimator is not before.estimator)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(fault=Fault.CANCELLED, latency_s=60.0, streamed=True),
        Outcome(fault=Fault.CANCELLED, latency_s=60.0, at_fault=Blame.OURSELVES),
        Outcome(fault=Fault.CANCELLED, latency_s=60.0, first_byte_s=1.0, streamed=True, at_fault=Blame.OURSELVES),
        Outcome(fault=Fault.TIMEOUT, latency_s=60.0, streamed=True, at_fault=Blame.OURSELVES),
    ],
)
def test_what_we_or_a_client_did_is_no_evidence(outcome: Outcome) -> None:
    """A client that left, an answer in one piece, a stream that had begun, and a rehearsal: nothing is learned."""
    record = known()
    assert fold(record, attempt(outcome, 400.0, 60.0), POLICY) == record


@given(st.floats(0.0, 100.0), st.floats(0.0, 100.0))
def test_only_what_was_sent_after_the_last_failure_excuses(failed_sent: float, sent: float) -> None:
    """Whenever it was answered."""
    record = replace(FRESH, failed_from=failed_sent)
    assert excuses(record, answered(500.0, took=500.0 - sent)) == (500.0 - (500.0 - sent) >= failed_sent)


@pytest.mark.parametrize(
    ("limit", "in_flight", "after"), [(2, 1, 4), (2, 2, 4), (4, 1, 4), (4, 2, 8), (32, 16, 0), (32, 15, 32)]
)
def test_a_slow_start_doubles_while_it_is_used(limit: int, in_flight: int, after: int) -> None:
    """Half filled it doubles, and at sixty-four it limits nothing any more."""
    assert grown(replace(FRESH, limit=limit), in_flight) == after


@pytest.mark.parametrize(("limit", "in_flight", "after"), [(0, 9, 5), (0, 1, 0), (4, 9, 4), (8, 9, 5), (3, 1, 3)])
def test_an_overload_halves_what_it_had(limit: int, in_flight: int, after: int) -> None:
    """Never more than the limit there was; and who had one request and says overloaded has another reason."""
    overload = replace(failed(400.0, Fault.OVERLOADED), in_flight=in_flight)
    assert shrunk(replace(FRESH, limit=limit), overload) == after
    assert shrunk(replace(FRESH, limit=limit), probed(ProbeKind.CANARY, 400.0, Fault.OVERLOADED)) == limit


def test_who_returns_starts_slowly_and_ends_without_a_limit() -> None:
    """Two at once, then four, and so on with each answer."""
    record = tick(fallen(), POLICY, 400.0)
    record = fold(record, answered(402.0), POLICY)
    assert (record.standing, record.limit) == (Standing.HEALTHY, SLOW_START)
    limits = [record.limit]
    for second in range(5):
        record = begin(record, begun(404.0 + second, in_flight=limits[-1]), POLICY)
        limits.append(record.limit)
    assert limits == [2, 4, 8, 16, 32, 0]


def test_a_canary_vouches_early_and_forgives_most() -> None:
    """The target may be tried before its cooldown is over, and its level counts for little."""
    cooling = fallen()
    record = fold(cooling, probed(ProbeKind.CANARY, 302.9), POLICY)
    assert (record.standing, record.vouched, view(record, 303.0).trial_from) == (Standing.PROBATION, True, None)
    assert record.reliability.failed < cooling.reliability.failed * 0.4
    assert record.reliability.run == 0
    assert record.estimator.first.variance >= 0.5


def test_without_a_canary_a_target_on_probation_waits() -> None:
    """For as long as `vouch` says, which is moot where that is not set."""
    record = tick(fallen(), POLICY, 400.0)
    assert view(record, 400.0).trial_from == record.since + 15.0
    unset = tick(fallen(), replace(POLICY, vouch=None), 400.0)
    assert unset.trial_at == unset.since


@given(st.integers(0, 50), st.floats(1.0, 1e4))
def test_mistrust_has_a_bound(mistrust: int, cooldown: float) -> None:
    """However often its canaries lied, a check is never later than 15 s away, and three trials more are enough."""
    record = replace(FRESH, standing=Standing.COOLING, since=0.0, until=cooldown, mistrust=mistrust)
    assert 0.0 <= check_from(record, POLICY, 0.0) <= min(15.0, cooldown)
    assert POLICY.rise <= trials_needed(record, POLICY) <= POLICY.rise + 3
    assert check_from(FRESH, POLICY, 0.0) == math.inf


def test_canaries_alone_cannot_keep_a_target_away_for_ever() -> None:
    """After ten longest cooldowns without a request, one is tried though canaries fail."""
    record = replace(FRESH, standing=Standing.PROBATION, since=100.0, trial_at=115.0, last_live_at=100.0)
    assert not neglected(record, POLICY, 700.0)
    assert neglected(record, POLICY, 701.0)
    early = fold(record, probed(ProbeKind.CANARY, 150.0, Fault.TIMEOUT), POLICY)
    late = fold(record, probed(ProbeKind.CANARY, 750.0, Fault.TIMEOUT), POLICY)
    assert (early.standing, late.standing) == (Standing.COOLING, Standing.PROBATION)
