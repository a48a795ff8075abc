"""What providers' headers say of waits and limits, and the few words that people and clients write as numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from benchmarks.fuzz.captured import captures, table
from benchmarks.fuzz.mutation import mixed, mutated_bytes, mutated_lines
from benchmarks.fuzz.surface import Broken, Surface
from daemon.faces.patience import said_by_sdk
from probes.dialects.headroom import finer_wait, headroom_of
from probes.dialects.hints import MAX_WAIT_S, NO_CLOCK, parse_moment, parse_reset_duration, retry_after
from state.quota import Headroom

__all__ = ["HINTS"]

_NOW: Final = datetime(2026, 11, 20, 23, 29, 30, tzinfo=UTC).timestamp()
_MORE: Final = (
    *("x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 6m0s", "x-ratelimit-limit-requests: 60"),
    *("anthropic-ratelimit-tokens-remaining: 0", "anthropic-ratelimit-tokens-reset: 2026-11-20T23:30:00Z"),
    *("x-stainless-read-timeout: 600", "x-stainless-timeout: NOT_GIVEN", "x-stainless-retry-count: 1"),
)


def _lines(headers: Mapping[str, Any]) -> bytes:
    return "\n".join(f"{name}: {value}" for name, value in headers.items()).encode()


def _seeds() -> list[bytes]:
    facts = table("retry_hint_cases")
    told = [_lines(row["header"]) for row in facts["retry_hints"]]
    told += [f"retry-after: {row['value']}".encode() for row in facts["durations"]]
    told += [_lines(one.headers) for one in captures() if any("ratelimit" in name for name in one.headers)]
    body = {"error": {"message": "Please try again in 174ms.", "details": [{"retryDelay": "34.07s"}]}}
    return [*told, "\n".join(_MORE).encode(), b"retry-after-ms: 30\n\n" + json.dumps(body).encode()]


def _headers(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.split("\n"))
    return {name.strip().lower(): value.strip(" ") for name, colon, value in pairs if colon}


def _take(data: bytes) -> Hashable:
    head, _, body = data.decode("latin-1").partition("\n\n")
    headers = _headers(head)
    found: list[str] = []
    for now in (_NOW, NO_CLOCK):
        wait = retry_after(headers, _decoded(body), now)
        if wait is not None and not 0 <= wait <= MAX_WAIT_S:
            raise Broken(f"a wait of {wait} s")
        headroom = headroom_of(headers, now)
        _insist_on_sense(headroom)
        finer = finer_wait(wait, headroom)
        if finer is not None and not 0 <= finer <= MAX_WAIT_S:
            raise Broken(f"a finer wait of {finer} s")
        found.append(f"{_size(wait)}{'' if headroom is None else 'h'}")
    sdk = said_by_sdk(headers)
    if not (sdk.read_s > 0 and sdk.whole_s > 0):
        raise Broken(f"a client's patience of {sdk}")
    values = [_kind(value) for value in list(headers.values())[:3]]
    return (*found, *values, sdk.retry is None)


def _kind(value: str) -> str:
    for name, number in (("d", parse_reset_duration(value)), ("m", parse_moment(value))):
        if number is not None and not math.isfinite(number):
            raise Broken(f"{name} {number} from a text")
        if number is not None:
            return name + _size(abs(number))
    return "-"


def _insist_on_sense(headroom: Headroom | None) -> None:
    for allowance in _allowances(headroom):
        if not (math.isfinite(allowance.remaining) and allowance.remaining >= 0):
            raise Broken(f"a remainder of {allowance.remaining}")
        if allowance.reset_s is not None and not 0 <= allowance.reset_s <= MAX_WAIT_S:
            raise Broken(f"a reset in {allowance.reset_s} s")


def _allowances(headroom: Headroom | None) -> Iterator[Any]:
    if headroom is not None:
        yield from (each for each in (headroom.requests, headroom.tokens) if each is not None)


def _decoded(body: str) -> object:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return body


def _size(number: float | None) -> str:
    return "-" if number is None else str(len(str(int(number))))


HINTS: Final = Surface("hints", _seeds, mixed(mutated_bytes, mutated_lines), _take, share=10)
