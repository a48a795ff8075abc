"""The cost of answers as providers give them, by the providers' own price lists, reckoned by hand.

The answers called `documented` follow the shapes in the providers' references, with counts that caches have changed;
the others are as independent servers sent them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from probes.dialects.replies import read_reply
from probes.dialects.streams import StreamReader
from probes.pricing.catalogue import lookup
from probes.surfaces import Surface
from state.outcome import Usage
from state.prices import cost_of
from tests.rigs.captures import capture

_OPENAI = "https://api.openai.com/v1"
_ANTHROPIC = "https://api.anthropic.com"
_GPT_5 = (86 * 1.25 + 1920 * 0.125 + 300 * 10) / 1e6
"""$1.25 a million of input, a tenth of it from the cache, $10 of output; reasoning is output."""
_SONNET_5 = (21 * 2 + 188_086 * 0.20 + 456 * 2.50 + 1000 * 4 + 393 * 10) / 1e6
"""$2 and $10; read from the cache $0.20, written to it for five minutes $2.50, for an hour $4."""
_RECORDED = [
    ("documented_openai_chat_cached_json", Surface.CHAT, (_OPENAI, "gpt-5"), _GPT_5),
    ("documented_openai_chat_cached_stream", Surface.CHAT, (_OPENAI, "gpt-5"), _GPT_5),
    ("documented_openai_responses_flex_json", Surface.RESPONSES, (_OPENAI, "gpt-5"), _GPT_5 / 2),
    ("documented_openai_responses_flex_stream", Surface.RESPONSES, (_OPENAI, "gpt-5"), _GPT_5 / 2),
    ("documented_anthropic_cached_json", Surface.MESSAGES, (_ANTHROPIC, "claude-sonnet-5"), _SONNET_5),
    ("documented_anthropic_cached_stream", Surface.MESSAGES, (_ANTHROPIC, "claude-sonnet-5"), _SONNET_5),
    (
        "documented_deepseek_chat_cached_json",
        Surface.CHAT,
        ("https://api.deepseek.com/v1", "deepseek-chat"),
        (176 * 0.27 + 1024 * 0.07 + 10 * 1.10) / 1e6,
    ),
    (
        "documented_gemini_chat_json",
        Surface.CHAT,
        ("https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-pro"),
        (200_001 * 2.50 + 100 * 15) / 1e6,
    ),
    ("aimock_openai_chat_json", Surface.CHAT, (_OPENAI, "gpt-4o"), (2 * 2.50 + 13 * 10) / 1e6),
    ("aimock_openai_chat_stream", Surface.CHAT, (_OPENAI, "gpt-4o"), (2 * 2.50 + 13 * 10) / 1e6),
    ("llamaserver_messages_json", Surface.MESSAGES, (_ANTHROPIC, "claude-sonnet-5"), (2 + 23 * 0.2 + 4 * 10) / 1e6),
]

_BY_CONTEXT = {
    "documented_openai_responses_flex_json",
    "documented_openai_responses_flex_stream",
    "documented_deepseek_chat_cached_json",
}
"""Whose price there depends on a tier or an hour that it has to be told."""


def _usage(name: str, surface: Surface) -> Usage:
    """Return what fairlead counts of a recorded answer, in pieces as a network cuts them where it is a stream."""
    body = capture(name).body
    if not name.endswith("_stream"):
        answer = read_reply(surface, "application/json", body)
        assert answer.diagnosis is None
        return answer.usage
    reader = StreamReader(surface)
    assert b"".join(reader.feed(body[at : at + 100]) for at in range(0, len(body), 100)) == body
    assert reader.end() is None
    return reader.usage


@pytest.mark.parametrize(("name", "surface", "target", "dollars"), _RECORDED, ids=[each[0] for each in _RECORDED])
def test_a_recorded_answer_costs_what_the_price_list_says(
    name: str, surface: Surface, target: tuple[str, str], dollars: float
) -> None:
    """Law: both dialects, streamed and not, with cached tokens, a service tier and a long input."""
    listed = lookup(*target)
    assert listed is not None
    assert listed.price is not None
    assert cost_of(listed.price, _usage(name, surface)) == pytest.approx(dollars, rel=1e-12)


@pytest.mark.parametrize("name", ["openai_chat_cached", "openai_responses_flex", "anthropic_cached"])
def test_a_stream_counts_what_the_whole_answer_counts(name: str) -> None:
    """Law: how an answer comes changes nothing of its bill."""
    surface = {"a": Surface.MESSAGES}.get(name[0], Surface.RESPONSES if "responses" in name else Surface.CHAT)
    assert _usage(f"documented_{name}_json", surface) == _usage(f"documented_{name}_stream", surface)


@pytest.mark.parametrize(
    ("name", "surface", "target"),
    [each[:3] for each in _RECORDED if "flex" not in each[0] and "deepseek" not in each[0]],
)
def test_genai_prices_comes_to_the_same(name: str, surface: Surface, target: tuple[str, str]) -> None:
    """Law: the snapshot and the arithmetic are those of the package that they come from, where it is installed."""
    genai_prices: Any = pytest.importorskip("genai_prices")
    usage, (url, model) = _usage(name, surface), target
    theirs = genai_prices.calc_price(
        genai_prices.Usage(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            cache_read_tokens=usage.cached_tokens or 0,
            cache_write_tokens=(usage.cache_write_tokens or 0) + (usage.cache_write_1h_tokens or 0),
            cache_write_1h_tokens=usage.cache_write_1h_tokens or 0,
        ),
        model_ref=model,
        provider_api_url=url,
    ).total_price
    listed = lookup(url, model)
    assert listed is not None
    assert listed.price is not None
    assert cost_of(listed.price, usage) == pytest.approx(float(Decimal(theirs)), rel=1e-9)
