"""What is read of a request before it is judged: each API family's shapes, and bounds for hostile bodies."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.routing.complexity.features import HEAD, TAIL, Asked, asked_in, asked_of
from probes.surfaces import Surface

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        "messages",
        "input",
        "system",
        "instructions",
        "tools",
        "functions",
        "response_format",
        "output_format",
        "text",
        "output_config",
        "thinking",
        "reasoning",
        "reasoning_effort",
        "max_tokens",
    ]
)
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["user", "tool", "system"]) | JSON, "content": JSON})
PART = st.fixed_dictionaries({"type": st.sampled_from(["text", "tool_result", "image"]) | JSON, "text": JSON})
REQUEST = st.dictionaries(NAMES, JSON | st.lists(MESSAGE | PART | JSON, max_size=4), max_size=6)


def _asked(surface: Surface, **request: Any) -> Asked:
    return asked_of(surface, msgspec.json.encode(request))


def test_a_chat_is_read() -> None:
    """The last text of the user, how often the user spoke, tools and their results, the shape that is asked for."""
    asked = _asked(
        Surface.CHAT,
        messages=[
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "First"},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "content": "14"},
            {"role": "user", "content": [{"type": "text", "text": "And now"}, {"type": "image_url", "image_url": {}}]},
        ],
        tools=[{}, {}],
        response_format={"type": "json_schema"},
        max_completion_tokens=7,
    )
    assert (asked.text, asked.characters, asked.turns) == ("And now", 7, 2)
    assert (asked.system_characters, asked.tools, asked.tool_results, asked.images) == (8, 2, 1, 1)
    assert (asked.schema, asked.thinking, asked.max_tokens) == (True, False, 7)


def test_responses_are_read() -> None:
    """A bare text as input, or items among which a tool's output has no role."""
    bare = _asked(Surface.RESPONSES, input="Hello", instructions="Be brief", text={"format": {"type": "json_schema"}})
    assert (bare.text, bare.turns, bare.system_characters, bare.schema) == ("Hello", 1, 8, True)
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Look"}]},
        {"type": "function_call_output", "call_id": "1", "output": "x"},
    ]
    told = _asked(Surface.RESPONSES, input=items, reasoning={"effort": "high"}, max_output_tokens=9)
    assert (told.text, told.tool_results, told.thinking, told.max_tokens) == ("Look", 1, True, 9)


def test_messages_are_read() -> None:
    """A tool's result stands in a message of the user; what the user last wrote is an earlier one."""
    asked = _asked(
        Surface.MESSAGES,
        system=[{"type": "text", "text": "Rules"}],
        messages=[
            {"role": "user", "content": "Find it"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1"}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "text"}]},
        ],
        output_config={"format": {"type": "json_schema"}, "effort": "low"},
        thinking={"type": "enabled"},
    )
    assert (asked.text, asked.turns, asked.tool_results, asked.system_characters) == ("Find it", 1, 1, 5)
    assert asked.schema
    assert asked.thinking


def test_of_a_long_text_its_beginning_and_its_end_are_kept() -> None:
    """Megabytes of material cost no more than a page."""
    text = "a" * HEAD + "m" * 3_000_000 + "z" * TAIL
    asked = _asked(Surface.CHAT, messages=[{"role": "user", "content": text}])
    assert asked.text == "a" * HEAD + "\n" + "z" * TAIL
    assert asked.characters == len(text)


def test_of_a_long_conversation_only_the_end_is_looked_at() -> None:
    """A hundred thousand messages, or parts of one, are not walked through."""
    messages = [{"role": "user", "content": str(number)} for number in range(100_000)]
    asked = _asked(Surface.CHAT, messages=messages)
    assert asked.text == "99999"
    assert asked.turns < 1000
    parts = [{"type": "text", "text": "x" * 1000}] * 100_000
    assert len(_asked(Surface.CHAT, messages=[{"role": "user", "content": parts}]).text) <= HEAD + TAIL + 1


def test_a_feature_says_nothing_of_the_text() -> None:
    """Whatever prints or logs it, the text stays out."""
    asked = _asked(Surface.CHAT, messages=[{"role": "user", "content": "my secret plan"}])
    assert "secret" not in f"{asked} {asked!r}"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'"text"', b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_request_has_no_features(body: bytes) -> None:
    """Only its size is known."""
    assert asked_of(Surface.CHAT, body) == Asked(body_bytes=len(body))


@given(REQUEST, st.sampled_from(Surface))
def test_no_shape_of_a_request_raises(request: dict[str, Any], surface: Surface) -> None:
    """Members of any kind where others are expected are as if they were not there."""
    asked = asked_in(surface, request, 10)
    assert len(asked.text) <= HEAD + TAIL + 1
    assert min(asked.turns, asked.tools, asked.tool_results, asked.images, asked.system_characters) >= 0
