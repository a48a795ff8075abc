"""Every way in which fairlead itself says no: one table from the refusal to its HTTP status and its words.

`/v1/*` answers in the dialect's own error shape, so that the client's SDK raises its own typed exception;
`/fairlead/*` answers RFC 9457 problem details.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final

import msgspec

from probes.dialects.shapes import ErrorText, error_body
from probes.policy import Dialect
from state.faults import Fault

__all__ = [
    "FAULT_STATUS",
    "LONGEST_RETRY_AFTER_S",
    "Refusal",
    "RefusalKind",
    "any_dialect_body",
    "problem_body",
    "refusal_body",
    "refusal_headers",
]

LONGEST_RETRY_AFTER_S: Final = 60.0
"""SDKs sleep through any `retry-after` inside the call; a longer wait is better told in words."""


class RefusalKind(StrEnum):
    """Why fairlead refuses; also the `code` of the error that the client sees."""

    INVALID_BODY = "invalid_body"
    BODY_TOO_LARGE = "body_too_large"
    INPUT_TOO_LONG = "context_length_exceeded"
    MODEL_UNKNOWN = "model_not_found"
    WORKLOAD_UNKNOWN = "workload_not_found"
    INCOMPATIBLE = "incompatible_dialect"
    NO_TARGET = "no_target_available"
    QUEUE_FULL = "queue_full"
    EXHAUSTED = "targets_exhausted"
    DEADLINE = "deadline_exceeded"
    LIMITED = "rate_limit_exceeded"
    BUDGET = "budget_exceeded"
    STOPPING = "stopping"
    FORBIDDEN = "forbidden"
    KEY_NEEDED = "key_needed"
    NOT_READER = "not_reader"
    NOT_CLIENT = "not_client"
    NOT_OPERATOR = "not_operator"
    NOT_SPEAKER = "not_speaker"
    NOT_FOUND = "not_found"
    DECIDED = "already_decided"
    METHOD = "method_not_allowed"
    INVALID_REQUEST = "invalid_request"
    HISTORY = "history_unavailable"
    INVALID_CONFIGURATION = "invalid_configuration"
    INTERNAL = "internal_error"
    MALFORMED = "malformed_request"
    LARGE_HEAD = "headers_too_large"
    TOO_SLOW = "request_timeout"
    BUFFERS_FULL = "too_much_at_once"
    CONNECTIONS = "too_many_connections"


class _Rule(msgspec.Struct, frozen=True):
    status: int
    title: str
    type: str


_INVALID = "invalid_request_error"
_OURS = "fairlead_error"
_RULES: Final = {
    RefusalKind.INVALID_BODY: _Rule(400, "The request's body cannot be read", _INVALID),
    RefusalKind.BODY_TOO_LARGE: _Rule(413, "The request's body is too large", _INVALID),
    RefusalKind.INPUT_TOO_LONG: _Rule(400, "The input is longer than the workload allows", _INVALID),
    RefusalKind.MODEL_UNKNOWN: _Rule(404, "No such model", _INVALID),
    RefusalKind.WORKLOAD_UNKNOWN: _Rule(404, "No such workload", _INVALID),
    RefusalKind.INCOMPATIBLE: _Rule(400, "No target speaks this dialect", _INVALID),
    RefusalKind.NO_TARGET: _Rule(503, "No target is available", _OURS),
    RefusalKind.QUEUE_FULL: _Rule(503, "Too many requests are waiting", _OURS),
    RefusalKind.EXHAUSTED: _Rule(503, "Every target failed", "upstream_error"),
    RefusalKind.LIMITED: _Rule(429, "A limit is reached", "rate_limit_error"),
    RefusalKind.BUDGET: _Rule(429, "A budget is used up", "rate_limit_error"),
    RefusalKind.DEADLINE: _Rule(504, "The request's own deadline passed", _OURS),
    RefusalKind.STOPPING: _Rule(503, "The daemon is stopping", _OURS),
    RefusalKind.FORBIDDEN: _Rule(403, "Not allowed from there", _INVALID),
    RefusalKind.KEY_NEEDED: _Rule(401, "A key is needed", _INVALID),
    RefusalKind.NOT_READER: _Rule(403, "Only readers may do this", _INVALID),
    RefusalKind.NOT_CLIENT: _Rule(403, "Only clients may do this", _INVALID),
    RefusalKind.NOT_OPERATOR: _Rule(403, "Only operators may do this", _INVALID),
    RefusalKind.NOT_SPEAKER: _Rule(403, "Only speakers may do this", _INVALID),
    RefusalKind.NOT_FOUND: _Rule(404, "There is nothing here", _INVALID),
    RefusalKind.DECIDED: _Rule(409, "Somebody has decided already", _INVALID),
    RefusalKind.METHOD: _Rule(405, "Another method is needed", _INVALID),
    RefusalKind.INVALID_REQUEST: _Rule(400, "The request does not fit", _INVALID),
    RefusalKind.HISTORY: _Rule(503, "The history cannot be read now", _OURS),
    RefusalKind.INTERNAL: _Rule(500, "fairlead itself failed", _OURS),
    RefusalKind.MALFORMED: _Rule(400, "This is no request that can be trusted", _INVALID),
    RefusalKind.LARGE_HEAD: _Rule(431, "The request's headers are too large", _INVALID),
    RefusalKind.TOO_SLOW: _Rule(408, "The request came too slowly", _INVALID),
    RefusalKind.BUFFERS_FULL: _Rule(503, "Too many bytes of requests at once", _OURS),
    RefusalKind.CONNECTIONS: _Rule(503, "Too many connections", _OURS),
    RefusalKind.INVALID_CONFIGURATION: _Rule(422, "The configuration is invalid", _INVALID),
}

_FINAL: Final = frozenset({RefusalKind.EXHAUSTED, RefusalKind.DEADLINE, RefusalKind.BUDGET})
"""What the client's SDK would repeat by its status, and to no use."""

FAULT_STATUS: Final = {
    Fault.TIMEOUT: 504,
    Fault.OVERLOADED: 503,
    Fault.UNREACHABLE: 503,
    Fault.RATE_LIMITED: 429,
    Fault.QUOTA: 429,
    Fault.AUTH: 401,
    Fault.PERMISSION: 403,
    Fault.MODEL_NOT_FOUND: 404,
    Fault.CONTEXT_LENGTH: 400,
    Fault.TOO_LARGE: 413,
    Fault.CONTENT_FILTER: 400,
    Fault.INVALID_REQUEST: 400,
}
"""What a client is told when the last attempt ended so and the provider's own words cannot be passed on; every other
fault of a provider is a 502."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal with the words for this occasion."""

    kind: RefusalKind
    message: str
    """What happened, where, and what to do."""
    fault: Fault | None = None
    """The last attempt's fault, where attempts were made."""
    retry_after_s: float | None = None
    problems: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """The HTTP status."""
        if self.fault is not None and self.kind is RefusalKind.EXHAUSTED:
            return FAULT_STATUS.get(self.fault, 502)
        return _RULES[self.kind].status


def refusal_headers(refusal: Refusal) -> dict[str, str]:
    """Return the headers that go with a refusal: no wait that would hang an SDK, no retry that cannot help."""
    wait = refusal.retry_after_s
    soon = wait is not None and 0 < wait <= LONGEST_RETRY_AFTER_S
    final = refusal.kind in _FINAL and not (soon and refusal.kind is RefusalKind.BUDGET)
    headers = {"x-should-retry": "false"} if final else {}
    if refusal.kind is RefusalKind.KEY_NEEDED:
        headers["www-authenticate"] = 'Bearer realm="fairlead"'
    if wait is not None and soon:
        headers["retry-after"] = str(max(1, math.ceil(wait)))
    return headers


def refusal_body(refusal: Refusal, dialect: Dialect, request_id: str) -> bytes:
    """Return the refusal in the shape of `dialect`."""
    text = ErrorText(
        status=refusal.status,
        message=refusal.message,
        type=_RULES[refusal.kind].type,
        code=refusal.kind.value,
        request_id=request_id,
    )
    return error_body(dialect, text)


def any_dialect_body(refusal: Refusal) -> bytes:
    """Return the refusal for a request whose path, and so whose dialect, is unknown: every SDK finds its own in it."""
    error = {
        "message": refusal.message,
        "type": _RULES[refusal.kind].type,
        "param": None,
        "code": refusal.kind.value,
    }
    return msgspec.json.encode({"type": "error", "error": error})


def problem_body(refusal: Refusal) -> bytes:
    """Return the refusal as RFC 9457 problem details."""
    problem = {
        "type": f"urn:fairlead:{refusal.kind.value}",
        "title": _RULES[refusal.kind].title,
        "status": refusal.status,
        "detail": refusal.message,
    }
    if refusal.problems:
        problem["problems"] = list(refusal.problems)
    return msgspec.json.encode(problem)
