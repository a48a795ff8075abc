"""What a request says to a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.dialects.prompts import system_prompt, tools_offered
from probes.surfaces import Surface

CHAT = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "well"},
        {"role": "user", "content": [{"type": "text", "text": "second"}, {"type": "image_url", "image_url": {}}]},
        {"role": "tool", "content": "42"},
    ],
    "tools": [{"type": "function", "function": {"name": "look_up"}}],
}
MESSAGES = {
    "system": [{"type": "text", "text": "Be brief."}],
    "messages": [
        {"role": "user", "content": "second"},
        {"role": "user", "content": [{"type": "tool_result", "content": "42"}]},
    ],
    "tools": [{"name": "look_up", "input_schema": {}}, {"type": "web_search"}],
}
RESPONSES = {"instructions": "Be brief.", "input": "second", "tools": [{"type": "function", "name": "look_up"}]}
ITEMS = {
    "input": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "second"}]},
    ],
    "tools": [{"type": "function", "name": "look_up"}],
}


@pytest.mark.parametrize(
    ("surface", "request_"),
    [
        (Surface.CHAT, CHAT),
        (Surface.MESSAGES, MESSAGES),
        (Surface.RESPONSES, RESPONSES),
        (Surface.RESPONSES, ITEMS),
    ],
)
def test_orders_and_tools_are_found_in_every_dialect(surface: Surface, request_: dict[str, object]) -> None:
    """Law: the standing orders, and what tools are called."""
    assert system_prompt(surface, request_) == "Be brief."
    assert "look_up" in tools_offered(request_)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messages", "input", "system", "role", "content", "tools", "function", "name", "text"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON, st.sampled_from(list(Surface)))
def test_nothing_a_client_writes_is_too_strange(value: object, surface: Surface) -> None:
    """Law: what is not understood is not there."""
    assert isinstance(system_prompt(surface, value), str)
    assert all(isinstance(name, str) for name in tools_offered(value))
