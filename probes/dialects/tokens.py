"""The tokens that a provider says it counted, in the words of every API family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from probes.surfaces import Surface
from state.outcome import Usage

__all__ = ["merged", "usage_of"]

_MOST: Final = 10**12
"""No request has as many tokens: a larger number is no count."""
_LONGEST_TIER: Final = 32
_FAST: Final = "fast"
"""Anthropic's fast mode is told as a speed; it has rates of its own, as a tier has."""
_NOTHING: Final[Mapping[str, Any]] = {}


def usage_of(counted: Any, tier: Any = None) -> Usage:
    """Return what the `usage` object of an answer counts; `tier` is the answer's `service_tier` beside it.

    Never raises: what is no count is not known. OpenAI's prompt has the cached tokens in it, and so has `Usage`;
    Anthropic counts `input_tokens` without them.
    """
    if not isinstance(counted, dict):
        return Usage()
    details = _object(counted, "prompt_tokens_details") or _object(counted, "input_tokens_details")
    written, written_1h = _written(counted, details)
    prompt = _count(counted, "prompt_tokens")
    if prompt is None and (prompt := _count(counted, "input_tokens")) is not None:
        prompt += _beside_input(counted)
    return Usage(
        prompt,
        _either(_count(counted, "completion_tokens"), _count(counted, "output_tokens")),
        _either(
            _count(details, "cached_tokens"),
            _either(_count(counted, "cache_read_input_tokens"), _count(counted, "prompt_cache_hit_tokens")),
        ),
        written,
        written_1h,
        _FAST if counted.get("speed") == _FAST else _tier(tier) or _tier(counted.get("service_tier")),
    )


def merged(before: Usage, after: Usage, surface: Surface) -> Usage:
    """Return what two events of one stream count, the later one's word where both say something.

    Anthropic's last event may count the input anew and leave out its cached parts, which then still come on top, or
    how long they are kept, which then still holds.
    """
    prompt, written, hour = after.prompt_tokens, after.cache_write_tokens, after.cache_write_1h_tokens
    if prompt is not None and surface is Surface.MESSAGES:
        prompt += 0 if after.cached_tokens is not None else before.cached_tokens or 0
        prompt += 0 if written is not None else (before.cache_write_tokens or 0) + (before.cache_write_1h_tokens or 0)
    if written is not None and hour is None:
        written = max(0, written - (before.cache_write_1h_tokens or 0))
    return Usage(
        _either(prompt, before.prompt_tokens),
        _either(after.completion_tokens, before.completion_tokens),
        _either(after.cached_tokens, before.cached_tokens),
        _either(written, before.cache_write_tokens),
        _either(hour, before.cache_write_1h_tokens),
        after.tier or before.tier,
    )


def _written(counted: Mapping[str, Any], details: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the tokens written to a cache for minutes and for an hour; without the split all are for minutes."""
    total = _either(_count(counted, "cache_creation_input_tokens"), _count(details, "cache_write_tokens"))
    split = _object(counted, "cache_creation")
    hour = _count(split, "ephemeral_1h_input_tokens")
    if hour is None:
        return _either(total, _count(split, "ephemeral_5m_input_tokens")), None
    if total is None:
        return _count(split, "ephemeral_5m_input_tokens"), hour
    hour = min(hour, total)
    return total - hour, hour


def _beside_input(counted: Mapping[str, Any]) -> int:
    """Return the tokens of the input that Anthropic does not count as `input_tokens`."""
    written, written_1h = _written(counted, _NOTHING)
    return (_count(counted, "cache_read_input_tokens") or 0) + (written or 0) + (written_1h or 0)


def _count(holder: Mapping[str, Any], key: str) -> int | None:
    value = holder.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST else None


def _either(first: int | None, second: int | None) -> int | None:
    return second if first is None else first


def _object(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, dict) else _NOTHING


def _tier(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= _LONGEST_TIER else ""
