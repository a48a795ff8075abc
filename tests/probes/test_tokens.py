"""Counts of tokens in every family's words, also in wrong ones."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.dialects.replies import read_reply
from probes.dialects.tokens import merged, usage_of
from probes.surfaces import Surface
from state.outcome import Usage
from tests.rigs.streamed import BLOCK, DONE, HELLO, OVER, ROLE, START, STOP, TEXT, data, event, read

_BOTH = Usage(9, None, 4, 3)
_COUNTED = [
    ({"prompt_tokens": 9, "completion_tokens": 2}, Usage(9, 2)),
    ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(9, None, 4)),
    (
        {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}},
        Usage(9, None, 4, 3),
    ),
    ({"prompt_tokens": 9, "prompt_tokens_details": None}, Usage(9)),
    ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 4}, Usage(9, None, 5)),
    ({"prompt_tokens": 9, "cache_read_input_tokens": 5}, Usage(9, None, 5)),
    ({"input_tokens": 9, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 4}}, Usage(9, 2, 4)),
    ({"input_tokens": 9, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3}, Usage(17, None, 5, 3)),
    (
        {
            "input_tokens": 9,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 3,
            "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
        },
        Usage(12, None, 0, 1, 2),
    ),
    ({"input_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 2}}, Usage(3, None, None, None, 2)),
    ({"input_tokens": 1, "service_tier": "batch"}, Usage(1, tier="batch")),
    ({"input_tokens": 1, "service_tier": "standard", "speed": "fast"}, Usage(1, tier="fast")),
    ({"prompt_tokens": 9.0}, Usage(9)),
]
_WRONG = [-1, "9", True, 1.5, 10**30, 1e300, None, [], {}, "x"]


@pytest.mark.parametrize(("counted", "usage"), _COUNTED)
def test_every_family_s_counts_are_read(counted: dict[str, Any], usage: Usage) -> None:
    """Law: the prompt is all of the input, its parts are known where they are told."""
    assert usage_of(counted) == usage


@pytest.mark.parametrize("value", _WRONG)
def test_a_wrong_count_is_unknown_and_leaves_the_answer_good(value: object) -> None:
    """Law: no count can make a good answer a bad one, in whole or streamed, and what is not wrong is read."""
    usage = {"prompt_tokens": value, "completion_tokens": 2, "prompt_tokens_details": value}
    body = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": usage, "service_tier": value}
    answer = read_reply(Surface.CHAT, "application/json", msgspec.json.encode(body, enc_hook=str))
    assert (answer.diagnosis, answer.usage.prompt_tokens, answer.usage.completion_tokens) == (None, None, 2)
    reader, _ = read(Surface.CHAT, ROLE, HELLO, STOP, data({"choices": [], "usage": usage}), DONE)
    assert (reader.diagnosis, reader.finished, reader.usage) == (None, True, Usage(None, 2))


@pytest.mark.parametrize("value", [*_WRONG, 7])
def test_a_usage_that_is_none_leaves_the_answer_good(value: object) -> None:
    """Law: whatever stands in the place of the counts."""
    body = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": value}
    answer = read_reply(Surface.CHAT, "application/json", msgspec.json.encode(body, enc_hook=str))
    assert (answer.diagnosis, answer.usage) == (None, Usage())
    reader, _ = read(Surface.CHAT, ROLE, HELLO, data({"choices": [{"finish_reason": "stop"}], "usage": value}))
    assert (reader.diagnosis, reader.finished) == (None, True)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(sorted(_COUNTED[8][0])), inner),
)


@given(_JSON)
def test_anything_can_be_read_as_a_usage(value: object) -> None:
    """Law: nothing raises, and no count is negative."""
    usage = usage_of(value)
    assert all(count is None or 0 <= count < 10**13 for count in msgspec.structs.astuple(usage)[:-1])


def test_a_later_count_of_the_input_keeps_the_cached_parts_that_it_leaves_out() -> None:
    """Law: Anthropic's last event may say `input_tokens` again, with its cached parts, a part of them, or neither."""
    first = Usage(112, 1, 100, 4, 6, "standard")
    assert merged(first, Usage(2, 9), Surface.MESSAGES) == Usage(112, 9, 100, 4, 6, "standard")
    assert merged(first, Usage(112, 9, 100, 10), Surface.MESSAGES) == Usage(112, 9, 100, 4, 6, "standard")
    assert merged(Usage(0, 0, 0), Usage(12, 9), Surface.MESSAGES) == Usage(12, 9, 0)
    assert merged(Usage(9, 1, 4), Usage(9, 2), Surface.CHAT) == Usage(9, 2, 4)


def test_a_stream_without_counts_says_about_how_much_it_has_said() -> None:
    """Law: a token for each event, and those of longer texts, until the provider has counted them all."""
    long = event("content_block_delta", delta={"type": "text_delta", "text": "Hi" + "x" * 400})
    reader, _ = read(Surface.MESSAGES, START, BLOCK, TEXT, TEXT, long)
    assert reader.uncounted == 3 + 100
    reader.feed(event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 90}) + OVER)
    assert reader.uncounted == 0.0
    reader, _ = read(Surface.CHAT, ROLE, HELLO, HELLO, STOP, DONE)
    assert reader.uncounted == 2.0
    reader, _ = read(Surface.CHAT, ROLE)
    assert reader.uncounted == 0.0
