"""The rows of the conformance tables: each misbehaviour, what kind of fault it is, and whom it concerns."""

from __future__ import annotations

from typing import NamedTuple

from tests.rigs.misbehaving import PARTS, Manner, Part, Tongue, behaviours, broken_streams, odd_ones, status_answer
from tests.rigs.peers import Script, Send

__all__ = ["PASSED_OVER", "PASSING", "TOLD_AT_ONCE", "Case", "Refusal", "fault_of", "script_of", "workload_name"]

Case = tuple[str, Part]
"""A misbehaviour, and the part in which it is met."""
_FAULTS = {
    "refused": "unreachable",
    "reset_before_headers": "unreachable",
    "close_before_headers": "unreachable",
    "half_close_before_headers": "unreachable",
    "stall_before_headers": "timeout",
    "stall_within_headers": "timeout",
    "stall_after_headers": "timeout",
    "stall_mid_body": "timeout",
    "stall_after_preamble": "timeout",
    "html_502": "server_error",
    "error_in_200": "server_error",
    "error_before_content": "server_error",
}
"""What each misbehaviour is; all others are a `bad_reply`."""


class Refusal(NamedTuple):
    """An upstream's error answer, and what is to come of it."""

    status: str
    kind: str
    fault: str
    headers: tuple[str, ...] = ()
    kinds: tuple[str, str] | None = None
    """Where the dialects' codes differ: OpenAI's and Anthropic's."""

    def script(self, tongue: Tongue) -> Script:
        """Return what the upstream sends."""
        kind = self.kinds[list(Tongue).index(tongue)] if self.kinds else self.kind
        return [Send(status_answer(tongue, self.status, kind, *self.headers))]


PASSING = {
    "408": Refusal("408 Request Timeout", "timeout_error", "timeout"),
    "429": Refusal("429 Too Many Requests", "rate_limit_error", "rate_limited"),
    "429_hint": Refusal("429 Too Many Requests", "rate_limit_error", "rate_limited", ("retry-after: 30",)),
    "429_long_hint": Refusal("429 Too Many Requests", "rate_limit_error", "rate_limited", ("retry-after: 90",)),
    "429_quota": Refusal(
        "429 Too Many Requests", "", "quota", kinds=("insufficient_quota", "enforced_spend_limit_reached")
    ),
    "500": Refusal("500 Internal Server Error", "server_error", "server_error"),
    "502": Refusal("502 Bad Gateway", "server_error", "server_error"),
    "503": Refusal("503 Service Unavailable", "service_unavailable", "overloaded"),
    "504": Refusal("504 Gateway Timeout", "timeout_error", "timeout"),
    "529": Refusal("529 Overloaded", "overloaded_error", "overloaded"),
}
"""What falls back by default."""
TOLD_AT_ONCE = {
    "400": Refusal("400 Bad Request", "invalid_request_error", "invalid_request"),
    "400_context": Refusal("400 Bad Request", "context_length_exceeded", "context_length"),
    "400_filter": Refusal("400 Bad Request", "content_policy_violation", "content_filter"),
    "401": Refusal("401 Unauthorized", "", "auth", kinds=("invalid_api_key", "authentication_error")),
    "403": Refusal("403 Forbidden", "permission_error", "permission"),
    "404": Refusal("404 Not Found", "", "model_not_found", kinds=("model_not_found", "not_found_error")),
    "409": Refusal("409 Conflict", "invalid_request_error", "invalid_request"),
    "413": Refusal("413 Content Too Large", "request_too_large", "too_large"),
    "422": Refusal("422 Unprocessable Entity", "invalid_request_error", "invalid_request"),
}
"""What is the client's, the key's or the configuration's affair."""
PASSED_OVER = [(name, part) for part in PARTS for name in (*behaviours(part), *PASSING, "refused")]
"""Every row in which the next target is asked by default."""


def workload_name(name: str, part: Part) -> str:
    """Return what a row's workload, and its provider, are called."""
    return f"{name}-{part}".replace("_", "-")


def fault_of(name: str) -> str:
    """Return what kind of fault a misbehaviour is."""
    return PASSING[name].fault if name in PASSING else _FAULTS.get(name, "bad_reply")


def script_of(name: str, part: Part) -> Script:
    """Return what the upstream of a row does."""
    for refusals in (PASSING, TOLD_AT_ONCE):
        if name in refusals:
            return refusals[name].script(part.tongue)
    streams = broken_streams(part.tongue) if part.manner is Manner.STREAMED else {}
    return (behaviours(part) | odd_ones(part) | streams)[name]
