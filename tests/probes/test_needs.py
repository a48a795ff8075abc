"""What a request needs, read from its body; whatever the body is, reading it raises nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.dialects.needs import needs_of
from probes.dialects.pace import spoken_tokens

_ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "messages", "content", "n", "text", "x", "image"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("request_", "features"),
    [
        ({"messages": [{"role": "user", "content": "hi"}]}, set()),
        ({"tools": [{"type": "function"}], "messages": []}, {"tools"}),
        ({"tools": [], "seed": None}, set()),
        ({"seed": 0, "logprobs": True}, {"seed", "logprobs"}),
        ({"n": 2}, {"n", "choices"}),
        ({"n": 1}, {"n"}),
        ({"response_format": {"type": "json_object"}}, {"response_format", "json"}),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {"response_format", "json_schema"}),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, {"text", "json_schema"}),
        ({"output_config": {"format": {"type": "json_schema"}}}, {"output_config", "json_schema"}),
        ({"modalities": ["text", "audio"]}, {"modalities", "audio"}),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, {"images"}),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, {"input", "files"}),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "image"}]}]}]},
            {"images"},
        ),
    ],
)
def test_features_are_read_wherever_an_api_family_puts_them(request_: object, features: set[str]) -> None:
    """A member that is there and says something is needed by its own name, and by what it means."""
    assert needs_of(json.dumps(request_).encode()).features - {"messages"} == features


def test_an_image_counts_as_an_image_and_not_as_its_bytes() -> None:
    """A megabyte of base64 is no quarter of a million tokens."""
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    body = json.dumps({"messages": [{"role": "user", "content": [part]}]}).encode()
    assert 900 < needs_of(body).tokens < 1200


@given(st.binary(max_size=200) | _ANY.map(lambda value: json.dumps(value).encode()))
def test_no_body_makes_reading_raise(body: bytes) -> None:
    """What is not understood needs nothing."""
    assert needs_of(body).tokens >= 0
    assert spoken_tokens(b"data: " + body + b"\n\n") >= 1.0


def test_an_event_says_about_as_many_tokens_as_its_text_is_long() -> None:
    """Most say one; one that says forty characters says ten."""
    chunk = {"choices": [{"index": 0, "delta": {"content": "x" * 40}}]}
    assert spoken_tokens(b"data: " + json.dumps(chunk).encode() + b"\n\n") == 10.0
    delta = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "ab"}}
    assert spoken_tokens(b"data: " + json.dumps(delta).encode() + b"\n\n") == 1.0
