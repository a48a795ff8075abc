"""What an error answer means: codes first, then the status, words as the last resort."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from probes.dialects.codes import (
    BILLING_CODES,
    BY_STATUS,
    DAILY,
    DECISIVE,
    FITS_NEVER,
    HIGH_DEMAND,
    LIMITS,
    MONEY,
    STATUS_OF_TYPE,
    WORDS,
    ZERO_LIMIT,
)
from probes.dialects.complaints import Complaint, complaint_of, decode
from probes.dialects.hints import hinted_wait
from probes.dialects.quoting import quoted
from probes.policy import Dialect
from state.faults import Fault

__all__ = ["Diagnosis", "ReplyFacts", "classify", "looks_like_html"]

_ERRORS_FROM: Final = 400
_SERVER_ERRORS_FROM: Final = 500

_MAX_BODY: Final = 1 << 20
_MAX_QUOTE: Final = 120
_NO_MOMENT_S: Final = 3600.0
"""A limit that asks for an hour is no limit of the moment."""
_DAY_S: Final = 86_400.0
_PACIFIC_MIDNIGHT_S: Final = 8 * 3600.0
"""Midnight in Los Angeles as seconds of the UTC day, in winter; in summer the reset comes up to an hour earlier."""

_WAITING_HELPS: Final = frozenset(
    {Fault.RATE_LIMITED, Fault.QUOTA, Fault.OVERLOADED, Fault.SERVER_ERROR, Fault.TIMEOUT}
)
_QUOTABLE: Final = frozenset(
    {*_WAITING_HELPS, Fault.AUTH, Fault.PERMISSION, Fault.MODEL_NOT_FOUND, Fault.CONTEXT_LENGTH, Fault.TOO_LARGE}
)
"""Where a provider's message speaks of the account or the server, and in which words; the rest may repeat a request."""

_SECRET: Final = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|key|AIza|ya29)[-_*.][^\s'\"`,;]*"
    r"|\bAIza[^\s'\"`,;]*"
    r"|\bbearer\s+\S+|\b(?:provided|key|token|authorization)\s*[:=]\s*\S+"
    r"|(?<![\w\-+/=*])(?=[A-Za-z_\-+/=]*[0-9*])[\w\-+/=*]{20,}",
    re.IGNORECASE,
)
_CODE: Final = re.compile(r"(?=.*[a-z])[a-z_][a-z0-9_.\-]{0,63}")
_STATUS: Final = re.compile(r"[45][0-9]{2}")


class ReplyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that may be an error, as it arrived."""

    status: int
    content_type: str = ""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    dialect: Dialect = Dialect.OPENAI


class Diagnosis(msgspec.Struct, frozen=True):
    """What went wrong."""

    fault: Fault
    reason: str
    """One short line; the provider's words only where they cannot repeat a prompt, never a key."""
    retry_after_s: float | None = None
    """Seconds that the provider asked to wait, checked and capped; None where waiting would not help."""
    account_wide: bool = False
    """Whether it concerns all that the key pays for, and not one model alone."""


def classify(facts: ReplyFacts, *, now_wall: float) -> Diagnosis:
    """Return what an error answer means; never raises. `now_wall` is in Unix seconds, `NO_CLOCK` where unknown.

    A 2xx is read as an error that its status hides: an error object by its own code, anything else as `bad_reply`.
    """
    complaint = _complaint(facts)
    hint = hinted_wait(facts.headers, complaint, now_wall)
    fault = _fault(facts, complaint, hint)
    wide = fault in {Fault.AUTH, Fault.QUOTA} and not _is_daily(complaint) and _is_about_money(fault, complaint)
    return Diagnosis(fault, _reason(facts, complaint, fault), _believable(fault, complaint, hint, now_wall), wide)


def _is_about_money(fault: Fault, complaint: Complaint) -> bool:
    """Whether a key is refused, or its money is spent: either ends every model alike."""
    codes = complaint.codes
    spent = not BILLING_CODES.isdisjoint(codes) or any("spend_limit" in code for code in codes)
    return fault is Fault.AUTH or spent


def looks_like_html(content_type: str, body: bytes) -> bool:
    """Return whether an answer is a web page."""
    return "html" in content_type.lower() or body[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def _complaint(facts: ReplyFacts) -> Complaint:
    if len(facts.body) > _MAX_BODY or looks_like_html(facts.content_type, facts.body):
        return Complaint()
    value = decode(facts.body)
    if value is None:
        return Complaint(more=facts.body[:2000].decode("utf-8", "replace"))
    return complaint_of(value)


def _fault(facts: ReplyFacts, complaint: Complaint, hint: float | None) -> Fault:
    if facts.status < _ERRORS_FROM and not complaint.is_error:
        return Fault.BAD_REPLY
    for code in complaint.codes:
        if (decided := DECISIVE.get(code)) is not None:
            return decided
        if code.endswith(("spend_limit_reached", "spend_limit_exceeded")):
            return Fault.QUOTA
    status = _true_status(facts.status, complaint)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _limit(facts, complaint, hint)
    if status == HTTPStatus.PAYMENT_REQUIRED and hint is not None and hint < _NO_MOMENT_S:
        return Fault.RATE_LIMITED
    return _by_words(status, complaint.text) or _by_status(status)


def _true_status(status: int, complaint: Complaint) -> int:
    """Return the status that the body stands for, where the HTTP status is a 2xx or a bare 500."""
    if status >= _ERRORS_FROM and status != HTTPStatus.INTERNAL_SERVER_ERROR:
        return status
    named = (STATUS_OF_TYPE.get(code) or _numeric(code) for code in complaint.codes)
    return next((found for found in named if found), HTTPStatus.INTERNAL_SERVER_ERROR.value)


def _numeric(code: str) -> int | None:
    return int(code) if _STATUS.fullmatch(code) else None


def _limit(facts: ReplyFacts, complaint: Complaint, hint: float | None) -> Fault:
    """Tell apart what comes as 429: a limit of the moment, of the day or of money, a busy server, too big a request."""
    text = complaint.text
    if _never_fits(text):
        return Fault.TOO_LARGE
    if ZERO_LIMIT.search(text) or _has_zero_limit(facts.headers):
        return Fault.QUOTA
    if complaint.quota_ids:
        return Fault.QUOTA if _is_daily(complaint) else Fault.RATE_LIMITED
    if HIGH_DEMAND.search(text):
        return Fault.OVERLOADED
    if DAILY.search(text) or (hint is None and MONEY.search(text)):
        return Fault.QUOTA
    return Fault.QUOTA if hint is not None and hint >= _NO_MOMENT_S else Fault.RATE_LIMITED


def _never_fits(text: str) -> bool:
    if FITS_NEVER.search(text):
        return True
    asked = LIMITS.search(text)
    return asked is not None and int(asked[2]) > int(asked[1])


def _is_daily(complaint: Complaint) -> bool:
    return any("perday" in name.lower() for name in complaint.quota_ids)


def _has_zero_limit(headers: Mapping[str, str]) -> bool:
    """Mistral says `x-ratelimit-limit-req-minute: 0` where the plan does not include the model at all."""
    return any(value.strip() == "0" and "ratelimit-limit" in name for name, value in headers.items())


def _by_words(status: int, text: str) -> Fault | None:
    for statuses, words, fault in WORDS:
        if status in statuses and words.search(text):
            return fault
    return None


def _by_status(status: int) -> Fault:
    return BY_STATUS.get(status) or (Fault.SERVER_ERROR if status >= _SERVER_ERRORS_FROM else Fault.INVALID_REQUEST)


def _believable(fault: Fault, complaint: Complaint, hint: float | None, now_wall: float) -> float | None:
    if fault not in _WAITING_HELPS:
        return None
    if fault is Fault.QUOTA and not BILLING_CODES.isdisjoint(complaint.codes):
        return None
    if fault is Fault.QUOTA and _is_daily(complaint) and not math.isnan(now_wall):
        return (_PACIFIC_MIDNIGHT_S - now_wall) % _DAY_S
    return hint


def _reason(facts: ReplyFacts, complaint: Complaint, fault: Fault) -> str:
    return ": ".join(_reason_parts(facts, complaint, fault))


def _reason_parts(facts: ReplyFacts, complaint: Complaint, fault: Fault) -> Iterator[str]:
    code = next((code for code in complaint.codes if _CODE.fullmatch(code)), "")
    inner = "" if facts.status >= _ERRORS_FROM else next((code for code in complaint.codes if _numeric(code)), "")
    quote = quoted(complaint.message) if fault in _QUOTABLE else ""
    known = code in DECISIVE or code in STATUS_OF_TYPE
    named = (code if known else _scrubbed(code)) or inner or ("" if quote else fault.value)
    yield f"{facts.status} {named}".strip()
    if quote:
        yield quote
    elif not complaint.codes and not complaint.message:
        yield _shape(facts)
    if facts.status == HTTPStatus.NOT_FOUND and not code:
        yield f"is base_url the one of an API of dialect {facts.dialect.value}?"


def _shape(facts: ReplyFacts) -> str:
    if not facts.body.strip():
        return "an empty body"
    if looks_like_html(facts.content_type, facts.body):
        return "an HTML page instead of JSON"
    return "JSON without a known error in it" if decode(facts.body) is not None else "a body that is not JSON"


def _scrubbed(text: str) -> str:
    """Return a code without keys, short enough for a log."""
    line = " ".join(_SECRET.sub("…", text[:1000]).split())
    return line if len(line) <= _MAX_QUOTE else line[: _MAX_QUOTE - 1].rstrip() + "…"
