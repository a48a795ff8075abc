"""How long a provider asks to wait, in whatever words: seconds, checked and capped."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from probes.dialects.complaints import Complaint, complaint_of

__all__ = [
    "MAX_WAIT_S",
    "NO_CLOCK",
    "hinted_wait",
    "parse_moment",
    "parse_number",
    "parse_reset_duration",
    "parse_wait",
    "retry_after",
]

MAX_WAIT_S: Final = 86_400.0
"""No hint stops a target for longer than a day: the largest honest one seen is Azure's 86400."""

NO_CLOCK: Final = math.nan
"""For callers that know no wall clock: moments then say nothing, durations still count."""

_MAX_CHARS: Final = 64
_EPOCH_S: Final = 1e9
_EPOCH_MS: Final = 1e11
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PART: Final = re.compile(
    r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*"
    r"(milliseconds?|millis|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])",
    re.IGNORECASE,
)
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PHRASE: Final = re.compile(
    r"(?:try again|retry|retry[- ]after|wait)\s*(?:again\s*)?(?:in|after|for)?:?\s*"
    r"((?:[0-9.]+\s*(?:[a-z]+)?[\s,]*(?:and\s*)?){1,4})",
    re.IGNORECASE,
)


def retry_after(headers: Mapping[str, str], body: object, now_wall: float) -> float | None:
    """Return the seconds that an answer asks to wait, None where it asks nothing that can be believed.

    `headers` have lower-case names, `body` is the decoded JSON (or text, or None), `now_wall` is in Unix seconds.
    Order: retry-after-ms, retry-after, the resets of the limits that are used up, the body's own hint.
    0.0 means: now, at the caller's own pace. Sources: facts/protocols.md, section 3.3.
    """
    return hinted_wait(headers, complaint_of(body), now_wall)


def hinted_wait(headers: Mapping[str, str], complaint: Complaint, now_wall: float) -> float | None:
    """Return the same for a body that was already read."""
    for wait in _waits(headers, complaint, now_wall):
        if wait is not None and math.isfinite(wait) and wait >= 0:
            return min(wait, MAX_WAIT_S)
    return None


def _waits(headers: Mapping[str, str], complaint: Complaint, now_wall: float) -> Iterator[float | None]:
    yield from _header_waits(headers, now_wall)
    yield from _header_waits(complaint.headers, now_wall)
    yield parse_reset_duration(complaint.delay)
    yield _phrase(complaint.text)


def _header_waits(headers: Mapping[str, str], now_wall: float) -> Iterator[float | None]:
    milliseconds = parse_number(headers.get("retry-after-ms", ""))
    yield None if milliseconds is None else milliseconds / 1000
    yield parse_wait(headers.get("retry-after", ""), now_wall)
    yield max(_exhausted_resets(headers, now_wall), default=None)


def _exhausted_resets(headers: Mapping[str, str], now_wall: float) -> Iterator[float]:
    for name, value in headers.items():
        if "ratelimit" not in name or "remaining" not in name:
            continue
        remaining = parse_number(value)
        if remaining is None or remaining > 0:
            continue
        wait = parse_wait(headers.get(name.replace("remaining", "reset"), ""), now_wall)
        if wait is not None and wait >= 0:
            yield wait


def parse_wait(text: str, now_wall: float) -> float | None:
    """Return the seconds until what `text` names, a duration (which keeps its sign) or a moment; None for neither."""
    seconds = parse_reset_duration(text)
    if seconds is not None and seconds < _EPOCH_S:
        return seconds
    moment = parse_moment(text)
    if moment is None or math.isnan(now_wall):
        return None
    return max(0.0, moment - now_wall)


def parse_reset_duration(text: str) -> float | None:
    """Return the seconds in `64`, `1.5`, `120ms`, `6m0s`, `1h2m3.5s`, `2 minutes`; None where it is no duration.

    A bare number is in seconds and keeps its sign; NaN and infinity are no durations.
    """
    text = text.strip()
    number = parse_number(text)
    if number is not None or not text or len(text) > _MAX_CHARS:
        return number
    seconds, end = _leading_parts(text)
    return seconds if end == len(text) else None


def _leading_parts(text: str) -> tuple[float, int]:
    """Add up the parts that `text` starts with; return where they end, 0 where there are none."""
    total, end = 0.0, 0
    for part in _PART.finditer(text):
        if text[end : part.start()].strip(" ,") not in {"", "and"}:
            break
        total += float(part[1]) * _unit(part[2])
        end = part.end()
    return total, end


def _unit(word: str) -> float:
    word = word.lower()
    return 0.001 if word.startswith(("ms", "milli")) else _UNITS[word[0]]


def parse_moment(text: str) -> float | None:
    """Return the Unix seconds of an RFC 3339 time, an HTTP date, or an epoch in seconds or milliseconds."""
    text = text.strip()
    number = parse_number(text)
    if number is not None:
        return number / 1000 if number >= _EPOCH_MS else number if number >= _EPOCH_S else None
    if not text or len(text) > _MAX_CHARS:
        return None
    when = _iso_date(text) or _http_date(text)
    return None if when is None else _timestamp(when)


def _iso_date(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _timestamp(when: datetime) -> float | None:
    try:
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def parse_number(text: str) -> float | None:
    """Return a plain finite number, None where `text` is anything else."""
    text = text.strip()
    if len(text) > _MAX_CHARS or not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _phrase(text: str) -> float | None:
    for found in _PHRASE.finditer(text):
        seconds, end = _leading_parts(found[1])
        if end:
            return seconds
    return None
