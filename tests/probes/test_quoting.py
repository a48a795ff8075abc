"""What is quoted of a provider's message: how services speak, and nothing that anybody else has said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.dialects.quoting import quoted

SECRET = st.text(st.characters(categories=("Lu", "Ll", "Nd")), min_size=1).map(lambda text: f"zq{text}")


@pytest.mark.parametrize(
    ("message", "quote"),
    [
        ("The engine is currently overloaded, please try again later", None),
        ("You exceeded your current quota, please check your plan and billing details.", None),
        ("request (20019 tokens) exceeds the available context size (2048 tokens), try increasing it", "increasing"),
        ("prompt is too long: 214431 tokens > 204698 maximum", None),
        ("The model `gpt-9` does not exist or you do not have access to it.", "`gpt-9`"),
        ("Incorrect API key provided: sk-***.", "sk-***."),
        ("Loading model", None),
    ],
)
def test_what_services_say_of_themselves_is_quoted(message: str, quote: str | None) -> None:
    """Law: an operator reads what the provider complains of; `quote` is what an ellipsis stands for."""
    assert quoted(message) == (message.replace(quote, "…") if quote else message)


@pytest.mark.parametrize(
    "message",
    [
        "could not handle: my dog Rex has a fever",
        "my PIN is 4821 and I have a rash",
        "1 validation error: {'type': 'x', 'loc': ('body', 'temperature')}",
        "",
    ],
)
def test_what_may_be_a_prompt_is_not_quoted_at_all(message: str) -> None:
    """Law: where most words are others' words nothing is told, not even the words between them."""
    assert quoted(message) == ""


@given(st.lists(SECRET, min_size=1), st.randoms())
def test_no_word_of_others_is_ever_quoted(secrets: list[str], luck: object) -> None:
    """Law: whatever a service's words are mixed with, only they come through."""
    words = ["rate", "limit", "exceeded,", "please", "retry", "in", "20", "seconds"] * 3 + secrets
    luck.shuffle(words)  # type: ignore[attr-defined]
    quote = quoted(" ".join(words))
    assert "zq" not in quote
    assert len(quote) <= 120


def test_a_number_is_quoted_only_beside_what_it_counts() -> None:
    """Law: 2048 tokens are a limit, 4821 alone may be anything."""
    assert quoted("limit reached for user 4821") == "limit reached for user …"
    assert quoted("limit reached: 2048 tokens used") == "limit reached: 2048 tokens used"


@given(st.text())
def test_any_text_can_be_looked_at(text: str) -> None:
    """Law: it is one line, and never long."""
    assert len(quoted(text).splitlines()) <= 1
