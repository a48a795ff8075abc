"""How long a provider asks to wait."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.dialects.hints import MAX_WAIT_S, NO_CLOCK, parse_moment, parse_reset_duration, retry_after
from tests.rigs.captures import table

FACTS = table("retry_hint_cases")
NOW = datetime(2026, 11, 20, 23, 29, 30, tzinfo=UTC).timestamp()

texts = st.text(max_size=40) | st.from_regex(r"[-+]?[0-9a-zA-Z.: ,+-]{0,30}", fullmatch=True) | st.floats().map(str)
header_names = st.sampled_from(
    [
        "retry-after",
        "retry-after-ms",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    ]
)
bodies = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "details", "metadata", "headers", "retryDelay", "code", "type"]), inner
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("row", FACTS["durations"], ids=lambda row: repr(row["value"]))
def test_a_duration_is_read_in_each_provider_s_spelling(row: dict[str, Any]) -> None:
    """Seconds, milliseconds and Go's spelling are durations; anything else is none."""
    assert parse_reset_duration(row["value"]) == (
        None if row["seconds"] is None else pytest.approx(row["seconds"], abs=1e-9)
    )


@pytest.mark.parametrize("row", FACTS["retry_hints"], ids=lambda row: str(row["header"]))
def test_a_header_s_hint_is_read_as_the_facts_say(row: dict[str, Any]) -> None:
    """retry-after-ms wins over retry-after, which wins over the reset of an exhausted limit."""
    now = datetime.fromisoformat(row["now"]).timestamp() if "now" in row else NOW
    expected = row.get("seconds", 1830)
    found = retry_after(row["header"], None, now)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please try again in 174ms. Visit https://example.com", 0.174),
        ("Please try again in 7m12s.", 432.0),
        ("Please retry in 10h17m5.723541104s.", 37025.723541104),
        ("Please retry after 37 seconds. To increase your limit", 37.0),
        ("try again in 2 minutes and 3 seconds", 123.0),
        ("Please retry shortly.", None),
        ("Limit 30000, Used 18928, Requested 11159", None),
    ],
)
def test_a_message_s_words_are_the_last_hint(message: str, seconds: float | None) -> None:
    """Only where headers and fields are silent does the message's own wording count."""
    found = retry_after({}, {"error": {"message": message}}, NOW)
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_gemini_s_retry_info_is_read_from_inside_its_array() -> None:
    """Gemini wraps the error in a list and the delay in a detail."""
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.074824224s"}
    body = [{"error": {"code": 429, "message": "slow", "details": [{}, detail]}}]
    assert retry_after({}, body, NOW) == pytest.approx(34.074824224)


def test_openrouter_s_upstream_headers_are_read_from_the_metadata() -> None:
    """The reset is an epoch in milliseconds under mixed-case names."""
    reset = str(int((NOW + 12) * 1000))
    body = {"error": {"metadata": {"headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}}}}
    assert retry_after({}, body, NOW) == pytest.approx(12.0)


def test_of_two_exhausted_limits_the_later_reset_counts() -> None:
    """A request needs room in every dimension."""
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert retry_after(headers, None, NOW) == 360


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "-1", "", "soon", "٣"])
def test_an_unbelievable_retry_after_is_no_hint(value: str) -> None:
    """NaN, infinities, negatives and words never become a wait."""
    assert retry_after({"retry-after": value}, None, NOW) is None


def test_a_bad_header_gives_way_to_the_next_hint() -> None:
    """An unreadable retry-after-ms does not hide a readable retry-after."""
    assert retry_after({"retry-after-ms": "nan", "retry-after": "3"}, None, NOW) == 3


@pytest.mark.parametrize("value", ["90000", "4294967295", "1e300", "Fri, 20 Nov 2099 23:30:00 GMT"])
def test_no_hint_lasts_longer_than_a_day(value: str) -> None:
    """However far the provider points, the wait is capped."""
    assert retry_after({"retry-after": value}, None, NOW) == MAX_WAIT_S


def test_a_moment_in_the_past_means_now() -> None:
    """A reset that has already happened asks for no wait."""
    assert retry_after({"retry-after": "Fri, 20 Nov 2020 23:30:00 GMT"}, None, NOW) == 0.0


def test_without_a_clock_moments_say_nothing_and_durations_still_count() -> None:
    """A caller that knows no wall clock cannot turn a moment into a wait."""
    assert retry_after({"retry-after": "Fri, 20 Nov 2026 23:30:00 GMT"}, None, NO_CLOCK) is None
    assert retry_after({"retry-after": "7"}, None, NO_CLOCK) == 7


@given(st.dictionaries(header_names, texts, max_size=6), bodies, st.floats())
def test_a_hint_is_never_nan_infinite_negative_or_without_bound(
    headers: dict[str, str], body: object, now: float
) -> None:
    """Whatever comes, the wait is None or a number between nothing and a day."""
    found = retry_after(headers, body, now)
    assert found is None or (math.isfinite(found) and 0 <= found <= MAX_WAIT_S)


@given(texts)
def test_parsing_a_duration_or_a_moment_never_raises_or_gives_nan(text: str) -> None:
    """Headers are foreign text."""
    for found in (parse_reset_duration(text), parse_moment(text)):
        assert found is None or math.isfinite(found)
