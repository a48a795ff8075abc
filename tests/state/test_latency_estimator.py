"""Laws of the estimator: each piece of evidence moves what it speaks of, and nothing else."""

from __future__ import annotations

import math
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.latency.estimator import (
    NEWCOMER,
    Estimator,
    Sight,
    after_answer,
    after_first,
    after_silence,
    after_whole,
)

SECONDS = st.floats(0.01, 60.0)
ANY_SECONDS = st.floats(1e-300, 1e300)
TOKENS = st.integers(0, 10**6)


def settled(first_s: float = 1.0, pace_s: float = 0.02, in_flight: int = 1) -> Estimator:
    """Return what is believed after forty answers of 100 tokens, one a second, up to `in_flight` at once."""
    estimator = NEWCOMER
    for number in range(40):
        sight = Sight(float(number), in_flight)
        whole_s = first_s + 100 * pace_s
        estimator = after_answer(after_first(estimator, first_s, sight), 100 * pace_s, 100, sight, whole_s)
    return estimator


def first_s(estimator: Estimator) -> float:
    """Return the seconds to a first token that it believes in."""
    return math.exp(estimator.first.mean)


def pace_s(estimator: Estimator) -> float:
    """Return the seconds for each token that it believes in."""
    return math.exp(estimator.pace.mean)


@given(SECONDS, st.floats(0.5, 2.0))
def test_a_probe_moves_it_less_than_a_request(usual: float, factor: float) -> None:
    """What a canary sees is another request than those of clients: half as telling, in the same direction."""
    before = settled(usual)
    moves = [
        after_first(before, factor * usual, Sight(40.0, probe=probe)).first.mean - before.first.mean
        for probe in (False, True)
    ]
    assert abs(moves[1]) <= abs(moves[0])
    assert moves[0] * moves[1] >= 0.0
    paces = [
        after_answer(before, factor * 2.0, 100, Sight(40.0, probe=probe), 3.0).pace.mean - before.pace.mean
        for probe in (False, True)
    ]
    assert abs(paces[1]) <= abs(paces[0])


def test_a_probe_says_nothing_of_how_long_requests_take() -> None:
    """A canary of a few tokens would make the mean service time, and so every queue, look short."""
    before = settled()
    assert after_answer(before, 0.1, 8, Sight(40.0, probe=True), 0.2).service_s == before.service_s
    assert after_answer(before, 0.1, 8, Sight(40.0), 0.2).service_s < before.service_s


@given(st.floats(4.0, 30.0))
def test_queueing_does_not_move_the_first_token(factor: float) -> None:
    """Slow answers above every load that was fine are the queue's: the knee learns them, the level does not."""
    before = settled()
    queued = reduce(lambda held, second: after_first(held, factor, Sight(40.0 + second, 20)), range(6), before)
    assert first_s(queued) == pytest.approx(first_s(before), rel=0.01)
    assert queued.knee.known
    assert queued.wait_s(20) > 0.0
    assert queued.wait_s(1) == 0.0


@given(st.floats(4.0, 30.0), st.integers(1, 7))
def test_a_brownout_moves_the_first_token(factor: float, in_flight: int) -> None:
    """As slow at a load that was fine: that is the target itself, and no queue is made up for it."""
    before = settled(in_flight=8)
    slow = reduce(lambda held, second: after_first(held, factor, Sight(40.0 + second, in_flight)), range(3), before)
    assert first_s(slow) == pytest.approx(factor, rel=0.3)
    assert not slow.knee.known


def test_a_brownout_under_one_request_at_a_time_is_no_queue() -> None:
    """Who stands alone stands behind nobody, however many slow answers make the loads of long ago fade."""
    slow = reduce(lambda held, second: after_first(held, 9.0, Sight(40.0 + second)), range(400), settled())
    assert first_s(slow) == pytest.approx(9.0, rel=0.05)
    assert not slow.knee.known


def test_a_queue_that_is_known_is_taken_off_what_is_learned() -> None:
    """Nine in flight where four are served at once: their wait is no part of the first token."""
    queued = reduce(lambda held, second: after_first(held, 8.0, Sight(40.0 + second, 20)), range(8), settled())
    wait_s = queued.wait_s(20)
    learnt = after_first(queued, 1.0 + wait_s, Sight(50.0, 20))
    assert first_s(learnt) == pytest.approx(1.0, rel=0.2)


def test_a_move_of_the_first_token_puts_the_pace_in_doubt() -> None:
    """What changes the one mostly changes the other; a usual answer leaves the pace alone."""
    before = settled()
    moved = reduce(lambda held, second: after_first(held, 9.0, Sight(40.0 + second)), range(2), before)
    assert moved.pace.variance >= 0.5
    assert after_first(before, 1.05, Sight(40.0)).pace == before.pace


@given(st.floats(0.05, 0.95), st.floats(1.1, 1.9))
def test_a_whole_answer_is_split_by_the_shares_of_its_parts(share: float, factor: float) -> None:
    """Whichever part makes up most of it learns most of what it took longer."""
    before = settled(first_s=10 * share, pace_s=10 * (1 - share) / 100)
    after = after_whole(before, 10 * factor, 100, Sight(40.0))
    first_moved, pace_moved = after.first.mean - before.first.mean, after.pace.mean - before.pace.mean
    assert first_moved >= -1e-9
    assert pace_moved >= -1e-9
    if share > 0.7:
        assert first_moved > pace_moved
    if share < 0.3:
        assert pace_moved > first_moved


@given(SECONDS, st.floats(0.001, 0.5), st.integers(20, 2000))
def test_whole_answers_alone_tell_what_the_next_one_takes(first: float, pace: float, tokens: int) -> None:
    """Nobody sees the first token: the parts may be mistaken for each other, their sum is learned."""
    whole_s = first + pace * tokens
    after = reduce(lambda held, second: after_whole(held, whole_s, tokens, Sight(float(second))), range(40), NEWCOMER)
    assert first_s(after) + tokens * pace_s(after) == pytest.approx(whole_s, rel=0.25)


def test_a_guessed_length_says_less_than_a_counted_one() -> None:
    """Where the provider counts no tokens, a slow answer may just have been a long one."""
    before = settled()
    moves = [
        after_answer(before, 4.0, 100, Sight(40.0, guessed=guessed), 5.0).pace.mean - before.pace.mean
        for guessed in (False, True)
    ]
    assert 0.0 < moves[1] < moves[0] / 2


@pytest.mark.parametrize(("generation_s", "tokens"), [(0.0, 100), (2.0, 3), (2.0, 0)])
def test_too_few_tokens_say_nothing_of_the_pace(generation_s: float, tokens: int) -> None:
    """Nor does an answer that came in one piece behind its first token."""
    before = settled()
    assert after_answer(before, generation_s, tokens, Sight(40.0), 3.0).pace == before.pace


@given(SECONDS, st.floats(0.0, 120.0))
def test_silence_only_ever_makes_it_slower(usual: float, waited: float) -> None:
    """Who was silent for less than a first token takes was given up for other reasons."""
    before = settled(usual)
    after = after_silence(before, waited, Sight(40.0))
    assert after.first.mean >= before.first.mean - 1e-9
    assert (after is before) == (waited <= first_s(before))
    assert (after.pace, after.knee, after.cold) == (before.pace, before.knee, before.cold)


def test_the_best_that_it_ever_was_is_remembered_for_long() -> None:
    """A brownout of a hundred answers raises the record by a twentieth, a better answer lowers it at once."""
    before = settled()
    slow = reduce(lambda held, second: after_first(held, 9.0, Sight(40.0 + second)), range(100), before)
    assert slow.best == pytest.approx(before.best + 0.05)
    faster = reduce(lambda held, second: after_first(held, 0.2, Sight(140.0 + second)), range(2), slow)
    assert faster.best == pytest.approx(faster.first.mean)


@given(st.lists(st.tuples(ANY_SECONDS, ANY_SECONDS, TOKENS, st.integers(1, 999), st.booleans()), max_size=12))
def test_no_evidence_makes_it_useless(seen: list[tuple[float, float, int, int, bool]]) -> None:
    """Whatever was measured, however absurd, every figure stays a number and every wait stays finite."""
    held = NEWCOMER
    for number, (first, rest, tokens, in_flight, probe) in enumerate(seen):
        sight = Sight(float(number), in_flight, first, probe=probe)
        held = after_answer(after_first(held, first, sight), rest, tokens, sight, first + rest)
        held = after_silence(after_whole(held, rest, tokens, sight), first, sight)
        figures = (held.first.mean, held.first.variance, held.pace.mean, held.pace.variance, held.service_s)
        assert all(math.isfinite(figure) for figure in (*figures, held.wait_s(in_flight), held.cold.extra_s))
        assert held.service_s > 0.0
        assert held.knee.at_once >= 1.0


def test_doubt_leaves_the_figures_and_takes_the_certainty() -> None:
    """A target that returns may be another: its levels stay, and the next answers count in full."""
    before = settled()
    after = before.unsettled(40.0)
    assert (after.first.mean, after.pace.mean) == (before.first.mean, before.pace.mean)
    assert min(after.first.variance, after.pace.variance) >= 0.5
    assert first_s(after_first(after, 1.5, Sight(41.0))) > first_s(after_first(before, 1.5, Sight(41.0)))
