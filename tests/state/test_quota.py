"""Laws of quotas: what answers told, less what was sent since."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.faults import Fault
from state.health import fold
from state.hearing import begun
from state.messages import AnswerBegan, AttemptCompleted
from state.outcome import Outcome
from state.policy import HealthPolicy
from state.quota import LONGEST_RESET_S, SILENCE_S, Allowance, Headroom, Quota
from state.record import Record
from tests.rigs.evidence import TARGET

POLICY = HealthPolicy()
ALLOWANCES = st.builds(
    Allowance,
    st.floats(0, 1e6),
    st.none() | st.floats(0, 1e6),
    st.none() | st.floats(1, 1e6),
)
WORDS = st.lists(
    st.tuples(
        st.builds(Headroom, st.none() | ALLOWANCES, st.none() | ALLOWANCES), st.integers(1, 40), st.floats(0, 100)
    ),
    min_size=1,
    max_size=12,
)
Words = list[tuple[Headroom, int, float]]


def told(remaining: float, reset_s: float | None = None, limit: float | None = None) -> Headroom:
    """Return what an answer tells of requests."""
    return Headroom(Allowance(remaining, reset_s, limit))


def heard(words: Words) -> tuple[Quota, float]:
    """Return the quota after `words` (headroom, ordinal, pause), and the time of the last."""
    quota, now = Quota(), 100.0
    for headroom, ordinal, pause in words:
        now += pause
        quota = quota.after(headroom, ordinal, now, ordinal * 10)
    return quota, now


def test_what_was_sent_since_is_taken_off() -> None:
    """Five were left after the seventh: three more leave two."""
    quota = Quota().after(told(5, 60), 7, 100.0)
    assert [quota.left(sent, 110.0) for sent in (7, 8, 10, 12, 20)] == [5, 4, 2, 0, 0]
    assert quota.ready_at(11, 0, 0) == -math.inf
    assert quota.ready_at(12, 0, 0) == 160.0


def test_after_the_reset_exactly_one_request_may_go_until_there_is_news() -> None:
    """Its answer tells how far; if none comes, the limit is forgotten in the end."""
    quota = Quota().after(told(2, 60), 1, 100.0)
    assert quota.left(3, 159.9) == 0
    assert quota.left(3, 160.0) == 1
    assert quota.left(4, 160.0) == 0
    assert quota.ready_at(4, 0, 0) == 160.0 + SILENCE_S
    assert quota.after(told(59, 60), 4, 161.0).left(4, 161.0) == 59


def test_tokens_are_counted_like_requests() -> None:
    """A request goes where its estimate fits; after the reset one goes, however large; nobody waits in vain."""
    quota = Quota().after(Headroom(tokens=Allowance(1000, 30, 4000)), 1, 100.0, 500)
    assert quota.left_tokens(700, 101.0) == 800
    assert quota.ready_at(2, 700, 800) == -math.inf
    assert quota.ready_at(2, 700, 801) == 130.0
    assert quota.ready_at(3, 1501, 1) == 130.0 + SILENCE_S
    full = quota.after(Headroom(tokens=Allowance(4000, 0, 4000)), 2, 131.0, 700)
    assert full.ready_at(3, 700, 9000) == -math.inf


def test_a_limit_that_fills_up_steadily_opens_long_before_it_is_whole() -> None:
    """Each request moves the reset by a second: at 60 a minute one more may go each second."""
    quota = Quota()
    for ordinal, remaining in enumerate((3, 2, 1, 0), 1):
        quota = quota.after(told(remaining, 60 - remaining, 60), ordinal, 100.0)
    assert quota.ready_at(4, 0, 0) == pytest.approx(101.0)
    assert quota.ready_at(6, 0, 0) == pytest.approx(103.0)


def test_a_limit_that_is_renewed_at_once_is_waited_for() -> None:
    """Of a fixed window nothing comes back before its end."""
    quota = Quota()
    for ordinal, remaining in enumerate((3, 2, 1, 0), 1):
        quota = quota.after(told(remaining, 20 - ordinal, 60), ordinal, 100.0 + ordinal)
    assert quota.ready_at(4, 0, 0) == pytest.approx(120.0)


def test_within_a_window_the_smaller_number_is_the_later_word() -> None:
    """Answers overtake each other: what the last of a burst told first is not the whole truth."""
    quota = Quota().after(told(9, 60), 5, 100.0)
    for ordinal, remaining in ((1, 8), (3, 5), (4, 6), (2, 7)):
        quota = quota.after(told(remaining, 60), ordinal, 100.1)
    assert quota.left(5, 101.0) == 5


@given(WORDS, st.integers(0, 10**6), st.integers(0, 10**7), st.floats(0, 1e6))
def test_what_is_left_is_never_negative(words: Words, sent: int, tokens: int, later: float) -> None:
    """Law: whatever is told and sent, in whichever order."""
    quota, now = heard(words)
    assert quota.left(sent, now + later) >= 0
    assert quota.left_tokens(tokens, now + later) >= 0


@given(WORDS, st.integers(0, 10**6), st.integers(0, 10**7), st.integers(0, 10**6))
def test_nobody_is_held_back_beyond_the_reset_or_a_day(words: Words, sent: int, tokens_sent: int, tokens: int) -> None:
    """Law: one goes at the reset, and all do once its answer was awaited in vain."""
    quota, now = heard(words)
    opens_at, reset_at = quota.opening(sent, tokens_sent, tokens)
    assert opens_at <= reset_at + SILENCE_S
    assert opens_at <= now + LONGEST_RESET_S + SILENCE_S
    for account in (quota.requests, quota.tokens):
        if account is not None:
            assert account.opens_at(account.sent, 1e9) <= account.reset_at


@given(WORDS, st.integers(1, 40), st.floats(0, 1e6))
def test_an_older_answer_never_overrules_a_newer(words: Words, ordinal: int, remaining: float) -> None:
    """Law: it neither raises what is left, nor moves the reset; in another window it changes nothing."""
    quota, now = heard(words)
    before = quota.requests
    if before is None or ordinal > before.ordinal:
        return
    reset_s = before.reset_at - now
    same = quota.after(told(remaining, max(0.0, reset_s)), ordinal, now).requests
    assert same is not None
    assert (same.reset_at, same.ordinal, same.sent) == (before.reset_at, before.ordinal, before.sent)
    assert same.remaining <= before.remaining
    assert quota.after(told(remaining, max(0.0, reset_s) + 5e4), ordinal, now + 5.0).requests == before


@given(WORDS, st.integers(0, 60), st.integers(0, 10**6), st.integers(0, 10**6))
def test_where_there_is_room_nobody_is_held_back(words: Words, sent: int, tokens_sent: int, tokens: int) -> None:
    """Law: the cheap answer is never yes where the exact one is no."""
    quota, _ = heard(words)
    if quota.has_room(sent, tokens_sent, tokens):
        assert quota.ready_at(sent, tokens_sent, tokens) == -math.inf


@given(WORDS, ALLOWANCES)
def test_a_newer_answer_holds_whatever_was_told_before(words: Words, allowance: Allowance) -> None:
    """Law: more that remains and a later reset are believed as well as less."""
    quota, now = heard(words)
    newest = quota.after(Headroom(allowance), 41, now).requests
    assert newest is not None
    assert newest.remaining == allowance.remaining
    assert newest.reset_at == now + min(allowance.reset_s or 0.0, LONGEST_RESET_S)


@given(WORDS, st.integers(0, 60))
def test_time_alone_only_opens(words: Words, sent: int) -> None:
    """Law: at its moment a request may go, and each such moment is one at which a waiter is woken."""
    quota, now = heard(words)
    opens_at = quota.ready_at(sent, 0, 1)
    if opens_at > now:
        assert opens_at in set(quota.turning_points(sent))


def attempted(ordinal: int, at: float, outcome: Outcome, took: float = 0.1) -> AttemptCompleted:
    """Return a counted attempt."""
    return AttemptCompleted(
        target=TARGET, outcome=outcome, started_at=at - took, at=at, ordinal=ordinal, tokens_sent=ordinal * 100
    )


def test_the_record_keeps_what_attempts_tell_and_their_heads_moment_counts() -> None:
    """A stream of a minute told of its limits a minute ago."""
    outcome = Outcome(headroom=Headroom(Allowance(3, 80), age_s=60.0))
    quota = fold(Record(target=TARGET), attempted(4, 160.0, outcome, 61.0), POLICY).quota
    assert quota is not None
    assert quota.left(4, 161.0) == 3
    assert quota.ready_at(7, 0, 0) == 180.0


def test_what_nobody_counted_tells_nothing() -> None:
    """The history and callers' reports have no ordinal."""
    outcome = Outcome(headroom=told(0, 60))
    assert fold(Record(target=TARGET), attempted(0, 100.0, outcome), POLICY).quota is None


def test_a_client_that_leaves_takes_no_knowledge_with_it() -> None:
    """Its request was counted by the provider all the same."""
    outcome = Outcome(fault=Fault.CANCELLED, headroom=told(0, 60))
    quota = fold(Record(target=TARGET), attempted(1, 100.0, outcome), POLICY).quota
    assert quota is not None
    assert quota.ready_at(1, 0, 0) == 160.0


def test_a_refusal_that_says_when_to_come_back_is_believed_over_the_reset() -> None:
    """The reset is when all is whole again; `retry-after` is when one more fits."""
    outcome = Outcome(fault=Fault.RATE_LIMITED, retry_after_s=4.0, headroom=told(0, 64))
    quota = fold(Record(target=TARGET), attempted(1, 100.0, outcome), POLICY).quota
    assert quota is not None
    assert quota.ready_at(1, 0, 0) == 104.0


def test_a_provider_that_stops_telling_is_not_held_to_what_it_told() -> None:
    """An answer without a word after the reset ends the quota; one before it changes nothing."""
    known = fold(Record(target=TARGET), attempted(1, 100.0, Outcome(headroom=told(0, 10))), POLICY)
    assert fold(known, attempted(2, 105.0, Outcome()), POLICY).quota == known.quota
    assert fold(known, attempted(2, 115.0, Outcome()), POLICY).quota is None


def test_a_trial_that_fails_without_a_word_lets_another_go() -> None:
    """Or a lost connection would hold everybody back."""
    known = fold(Record(target=TARGET), attempted(1, 100.0, Outcome(headroom=told(0, 10))), POLICY)
    missed = fold(known, attempted(2, 115.0, Outcome(fault=Fault.TIMEOUT)), POLICY).quota
    assert missed is not None
    assert (missed.left(2, 115.0), missed.left(3, 115.0)) == (1, 0)


def test_what_was_counted_and_never_sent_is_given_back() -> None:
    """A rehearsal uses up nothing; what an answer told since includes it anyway."""
    quota = Quota().after(Headroom(Allowance(2, 60), Allowance(500, 60)), 1, 100.0, 100)
    given = quota.spared(2, 300).spared(3, 200).spared(1, 9)
    assert (given.left(3, 101.0), given.left_tokens(600, 101.0)) == (2, 500)


def test_a_stream_tells_with_its_first_content() -> None:
    """Its end may be minutes away; it then tells nothing new."""
    answer = AnswerBegan(
        target=TARGET, first_s=1.0, headroom=told(3, 60), started_at=99.0, at=100.0, ordinal=1, tokens_sent=9
    )
    record = begun(Record(target=TARGET), answer)
    assert record.quota is not None
    assert record.quota.left(1, 100.0) == 3
    late = attempted(1, 150.0, Outcome(headroom=Headroom(Allowance(3, 60), age_s=50.0)), 51.0)
    assert fold(record, late, POLICY).quota == record.quota
