"""What an answer's headers tell of the provider's limits: how many requests and tokens are left, and until when.

Sources: facts/protocols.md, section 3.3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Final

from probes.dialects.hints import MAX_WAIT_S, parse_number, parse_wait
from state.quota import Allowance, Headroom

__all__ = ["finer_wait", "headroom_of"]

_MARK: Final = "ratelimit"
_MOST: Final = 1e12
"""No provider allows more of anything: a larger number means something else."""
_COARSE_S: Final = 1.0
"""`retry-after` is in whole seconds, rounded up."""
_NAMES: Final = re.compile(
    r"(?:x-ratelimit|ratelimit)-remaining(?P<of>(?:-[a-z]+)*)|anthropic-ratelimit-(?P<kind>[a-z-]+)-remaining"
)
_REQUESTS: Final = frozenset({"", "-requests", "-req-minute", "-requests-minute", "-minute"})
_TOKENS: Final = frozenset({"-tokens", "-tokens-minute", "-input-tokens"})
_ANSWERS: Final = frozenset({"-output-tokens"})
"""Tokens that a prompt uses none of: they hold a request back only where nothing of them is left."""


def headroom_of(headers: Mapping[str, str], now_wall: float) -> Headroom | None:
    """Return what `headers` (lower-case names) tell of limits, None where they tell nothing that can be believed.

    `now_wall` is in Unix seconds, `NO_CLOCK` where unknown: resets that are moments then say nothing. Where several
    limits of one kind are told, the tightest counts.
    """
    names = [name for name in headers if _MARK in name and "remaining" in name]
    if not names:
        return None
    requests: Allowance | None = None
    tokens: Allowance | None = None
    for kind, told in _told(names, headers, now_wall):
        if kind in _REQUESTS:
            requests = _tighter(requests, told)
        elif kind in _TOKENS or (kind in _ANSWERS and told.remaining < 1.0):
            tokens = _tighter(tokens, told)
    return None if requests is None and tokens is None else Headroom(requests, tokens)


def finer_wait(hint_s: float | None, headroom: Headroom | None) -> float | None:
    """Return how long to wait after a refusal that asked for `hint_s` and told `headroom`.

    The reset of what is used up is exact where `retry-after` is the same, rounded up to whole seconds; where the two
    mean different things, what was asked for counts.
    """
    if hint_s is None or headroom is None:
        return hint_s
    reset_s = headroom.used_up_s
    return reset_s if reset_s and hint_s - _COARSE_S <= reset_s < hint_s else hint_s


def _told(names: list[str], headers: Mapping[str, str], now_wall: float) -> Iterator[tuple[str, Allowance]]:
    for name in names:
        found = _NAMES.fullmatch(name)
        remaining = _amount(headers[name])
        if found is None or remaining is None:
            continue
        limit = _amount(headers.get(name.replace("remaining", "limit"), ""))
        if limit == 0.0:
            continue  # the plan does not include this at all: a refusal says so itself
        reset_s = parse_wait(headers.get(name.replace("remaining", "reset"), ""), now_wall)
        if reset_s is not None:
            reset_s = min(reset_s, MAX_WAIT_S) if reset_s >= 0.0 else None
        yield (
            found["of"] if found["kind"] is None else f"-{found['kind']}",
            Allowance(remaining if limit is None else min(remaining, limit), reset_s, limit),
        )


def _amount(text: str) -> float | None:
    value = parse_number(text)
    return value if value is not None and 0.0 <= value <= _MOST else None


def _tighter(one: Allowance | None, other: Allowance) -> Allowance:
    if one is None or other.remaining < one.remaining:
        return other
    if other.remaining == one.remaining and _reset(other) > _reset(one):
        return other
    return one


def _reset(allowance: Allowance) -> float:
    return -math.inf if allowance.reset_s is None else allowance.reset_s
