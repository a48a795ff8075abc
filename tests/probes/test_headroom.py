"""What headers tell of limits, family by family."""

from __future__ import annotations

import math
import timeit
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.dialects.headroom import finer_wait, headroom_of
from probes.dialects.hints import MAX_WAIT_S, NO_CLOCK
from state.quota import Allowance, Headroom

NOW = datetime(2026, 11, 20, 23, 29, 30, tzinfo=UTC).timestamp()

FAMILIES = {
    "openai": (
        {
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-limit-tokens": "150000",
            "x-ratelimit-remaining-requests": "59",
            "x-ratelimit-remaining-tokens": "149984",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        Headroom(Allowance(59, 1, 60), Allowance(149984, 360, 150000)),
    ),
    "openai, with little left": (
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "120ms"},
        Headroom(Allowance(0, 0.12)),
    ),
    "groq": (
        {
            "x-ratelimit-limit-requests": "14400",
            "x-ratelimit-remaining-requests": "14370",
            "x-ratelimit-reset-requests": "2m59.56s",
            "x-ratelimit-limit-tokens": "18000",
            "x-ratelimit-remaining-tokens": "17997",
            "x-ratelimit-reset-tokens": "7.66s",
        },
        Headroom(Allowance(14370, 179.56, 14400), Allowance(17997, 7.66, 18000)),
    ),
    "anthropic": (
        {
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2026-11-20T23:30:00Z",
            "anthropic-ratelimit-tokens-limit": "48000",
            "anthropic-ratelimit-tokens-remaining": "47000",
            "anthropic-ratelimit-tokens-reset": "2026-11-20T23:29:45Z",
            "anthropic-ratelimit-input-tokens-limit": "40000",
            "anthropic-ratelimit-input-tokens-remaining": "39000",
            "anthropic-ratelimit-input-tokens-reset": "2026-11-20T23:29:40Z",
            "anthropic-ratelimit-output-tokens-limit": "8000",
            "anthropic-ratelimit-output-tokens-remaining": "7000",
            "anthropic-ratelimit-output-tokens-reset": "2026-11-20T23:29:50Z",
        },
        Headroom(Allowance(49, 30, 50), Allowance(39000, 10, 40000)),
    ),
    "anthropic, answers used up": (
        {
            "anthropic-ratelimit-input-tokens-remaining": "39000",
            "anthropic-ratelimit-output-tokens-remaining": "0",
            "anthropic-ratelimit-output-tokens-reset": "2026-11-20T23:30:30Z",
        },
        Headroom(None, Allowance(0, 60)),
    ),
    "azure, below zero": (
        {"x-ratelimit-remaining-tokens": "-27689", "x-ratelimit-reset-tokens": "64"},
        None,
    ),
    "azure": (
        {
            "x-ratelimit-remaining-tokens": "900",
            "x-ratelimit-reset-tokens": "64",
            "x-ratelimit-remaining-requests": "9",
        },
        Headroom(Allowance(9), Allowance(900, 64)),
    ),
    "openrouter": (
        {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "3", "x-ratelimit-reset": "1795219200000"},
        Headroom(Allowance(3, 1830, 20)),
    ),
    "epoch seconds": (
        {"x-ratelimit-remaining": "3", "x-ratelimit-reset": "1795219200"},
        Headroom(Allowance(3, 1830)),
    ),
    "mistral": (
        {
            "x-ratelimit-limit-req-minute": "50",
            "x-ratelimit-remaining-req-minute": "49",
            "x-ratelimit-limit-tokens-minute": "50000",
            "x-ratelimit-remaining-tokens-minute": "47300",
            "x-ratelimit-tokens-query-cost": "1300",
        },
        Headroom(Allowance(49, None, 50), Allowance(47300, None, 50000)),
    ),
    "mistral, no plan": ({"x-ratelimit-limit-req-minute": "0", "x-ratelimit-remaining-req-minute": "0"}, None),
    "the ietf's draft": (
        {"ratelimit-limit": "100", "ratelimit-remaining": "50", "ratelimit-reset": "30"},
        Headroom(Allowance(50, 30, 100)),
    ),
    "a moment that is past": (
        {"x-ratelimit-remaining": "3", "x-ratelimit-reset": "1700000000"},
        Headroom(Allowance(3, 0)),
    ),
    "a reset below zero": ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "-5"}, Headroom(Allowance(3))),
    "a reset next month": (
        {"x-ratelimit-remaining": "3", "x-ratelimit-reset": "2592000"},
        Headroom(Allowance(3, MAX_WAIT_S)),
    ),
    "no number": ({"x-ratelimit-remaining": "nan", "x-ratelimit-remaining-tokens": "plenty"}, None),
    "an absurd number": ({"x-ratelimit-remaining-requests": "1e300"}, None),
    "a limit of something else": ({"x-ratelimit-remaining-images": "0"}, None),
    "nothing": ({"content-type": "application/json", "x-request-id": "req_1"}, None),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_s_headers_are_read(family: str) -> None:
    """Remaining, reset and limit, for requests and tokens; what cannot be believed is not."""
    headers, expected = FAMILIES[family]
    found = headroom_of(headers, NOW)
    if found is None or expected is None:
        assert found is expected
        return
    for one, other in zip((found.requests, found.tokens), (expected.requests, expected.tokens), strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert (one.remaining, one.limit) == (other.remaining, other.limit)
            assert one.reset_s == (None if other.reset_s is None else pytest.approx(other.reset_s, abs=1e-3))


def test_without_a_clock_a_moment_says_nothing() -> None:
    """What is left still counts."""
    headers = {"x-ratelimit-remaining": "3", "x-ratelimit-reset": "1795219200"}
    assert headroom_of(headers, NO_CLOCK) == Headroom(Allowance(3))


@given(
    st.dictionaries(
        st.builds(
            "-".join,
            st.lists(
                st.sampled_from(
                    ["x", "ratelimit", "anthropic", "remaining", "reset", "limit", "requests", "tokens", "minute"]
                ),
                min_size=1,
                max_size=5,
            ),
        ),
        st.floats().map(str) | st.integers().map(str) | st.text(max_size=20),
    )
)
def test_whatever_the_headers_say_the_numbers_are_sound(headers: dict[str, str]) -> None:
    """Law: nothing raises, nothing is negative or infinite, no reset lies beyond a day."""
    found = headroom_of(headers, NOW)
    for told in () if found is None else (found.requests, found.tokens):
        if told is not None:
            assert 0.0 <= told.remaining < math.inf
            assert told.reset_s is None or 0.0 <= told.reset_s <= MAX_WAIT_S
            assert told.limit is None or told.remaining <= told.limit


@pytest.mark.parametrize(
    ("hint_s", "reset_s", "expected"),
    [(1.0, 0.12, 0.12), (60.0, 59.3, 59.3), (4.0, 64.0, 4.0), (10.0, 2.0, 10.0), (None, 3.0, None), (1.0, 0.0, 1.0)],
)
def test_the_finer_of_two_words_for_the_same_wait_counts(
    hint_s: float | None, reset_s: float, expected: float | None
) -> None:
    """A reset within the second that `retry-after` rounds up is the same wait; any other is about something else."""
    assert finer_wait(hint_s, Headroom(Allowance(0, reset_s))) == expected
    assert finer_wait(hint_s, None) == hint_s


def test_an_answer_without_such_headers_costs_next_to_nothing() -> None:
    """It is read of every answer: a tenth of what the rest of a request costs would be too much."""
    headers = {f"x-header-{number}": "a value" for number in range(20)}
    assert min(timeit.repeat(lambda: headroom_of(headers, NOW), number=1000, repeat=5)) / 1000 < 20e-6
