"""What providers' error codes, types and words mean: the tables that `classify` decides by.

Sources: facts/protocols.md, section 3, and the error tables of each provider that it names.
"""

from __future__ import annotations

import re
from typing import Final

from state.faults import Fault

__all__ = [
    "BILLING_CODES",
    "BY_STATUS",
    "DAILY",
    "DECISIVE",
    "FITS_NEVER",
    "HIGH_DEMAND",
    "LIMITS",
    "MONEY",
    "STATUS_OF_TYPE",
    "WORDS",
    "ZERO_LIMIT",
]

BILLING_CODES: Final = frozenset(
    {
        "billing_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "contract_spend_limit_reached",
        "credit_balance_exhausted",
        "enforced_spend_limit_reached",
        "insufficient_balance",
        "insufficient_credits",
        "insufficient_quota",
        "key_limit",
        "linked_organization_spend_limit_reached",
        "openrouter_credits",
        "openrouter_key_limit",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
    }
)
"""Money: none of these clears by waiting a moment, whatever a `retry-after` beside them says."""

_CODES: Final[dict[Fault, tuple[str, ...]]] = {
    Fault.CONTEXT_LENGTH: (
        "context_length_exceeded",
        "context_window_exceeded",
        "exceed_context_size_error",
        "model_context_window_exceeded",
    ),
    Fault.CONTENT_FILTER: (
        "content_filter",
        "content_policy_violation",
        "data_inspection_failed",
        "moderation_blocked",
        "responsibleaipolicyviolation",
    ),
    Fault.AUTH: ("api_key_invalid", "authentication_error", "expired_api_key", "invalid_api_key"),
    Fault.PERMISSION: ("permission_error", "request_forbidden", "unsupported_country_region_territory"),
    Fault.MODEL_NOT_FOUND: (
        "deploymentnotfound",
        "model_decommissioned",
        "model_not_available",
        "model_not_found",
        "not_supported_error",
        "unimplemented",
        "unknown_model",
    ),
    Fault.QUOTA: (*sorted(BILLING_CODES), "openrouter_free_tier_daily"),
    Fault.RATE_LIMITED: (
        "openrouter_in_flight_budget",
        "openrouter_shared_capacity",
        "ramp_limit_exceeded",
        "slow_down",
    ),
    Fault.OVERLOADED: ("capacity_exceeded", "engine_overloaded", "overloaded_error", "server_is_overloaded"),
    Fault.TOO_LARGE: ("payload_too_large", "request_too_large"),
    Fault.BAD_REPLY: ("json_validate_failed", "tool_use_failed"),
    Fault.INVALID_REQUEST: ("previous_response_not_found",),
}

DECISIVE: Final[dict[str, Fault]] = {code: fault for fault, codes in _CODES.items() for code in codes}
"""Codes that win over any status."""

_TYPES: Final[dict[int, tuple[str, ...]]] = {
    400: ("bad_request", "badrequesterror", "failed_precondition", "invalid_argument", "invalid_request_error"),
    401: ("unauthenticated", "unauthorized"),
    403: ("permission_denied",),
    404: ("not_found", "not_found_error", "notfounderror"),
    429: ("rate_limit_error", "rate_limit_exceeded", "requests", "resource_exhausted", "tokens", "too_many_requests"),
    500: ("api_error", "internal", "internal_error", "internal_server_error", "server_error"),
    503: ("overloaded", "service_unavailable", "service_unavailable_error", "unavailable", "unavailable_error"),
    504: ("deadline_exceeded", "timeout", "timeout_error"),
}

STATUS_OF_TYPE: Final[dict[str, int]] = {kind: status for status, kinds in _TYPES.items() for kind in kinds}
"""The status that a type stands for, where the HTTP status is 2xx or a 500 that says nothing."""

BY_STATUS: Final[dict[int, Fault]] = {
    401: Fault.AUTH,
    402: Fault.QUOTA,
    403: Fault.PERMISSION,
    404: Fault.MODEL_NOT_FOUND,
    407: Fault.AUTH,
    408: Fault.TIMEOUT,
    410: Fault.MODEL_NOT_FOUND,
    413: Fault.TOO_LARGE,
    429: Fault.RATE_LIMITED,
    451: Fault.PERMISSION,
    498: Fault.OVERLOADED,
    499: Fault.CANCELLED,
    501: Fault.MODEL_NOT_FOUND,
    503: Fault.OVERLOADED,
    504: Fault.TIMEOUT,
    524: Fault.TIMEOUT,
    529: Fault.OVERLOADED,
}
"""Other 4xx are the request's fault, other 5xx the server's.

501 means that this target does not offer what was asked, as with a model it does not have.
"""


def _words(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


_CONTEXT: Final = _words(
    r"context (?:length|window|size|limit)|prompt is too long|input is too long|too many (?:input )?tokens"
    r"|input token count|maximum number of tokens allowed|prompt contains \d+ tokens"
)
_FILTER: Final = _words(r"safety system|content (?:management )?(?:policy|filter)|flagged|moderation")
_KEY: Final = _words(r"api[ _-]?key (?:not valid|expired|is invalid|not found)|(?:invalid|missing) api[ _-]?key")
_REGION: Final = _words(r"location is not supported|country, region")
MONEY: Final = _words(
    r"credit balance|usage limits?\b|spend(?:ing)? limit|billing|insufficient (?:credit|fund|balance|quota)"
    r"|exceeded your current quota|out of credits"
)
_MODEL: Final = _words(
    r"(?:invalid|unknown|unsupported) model|not a valid model"
    r"|\bmodel\b.{0,80}?(?:does not exist|not found|decommissioned)"
)
_UNPARSED: Final = _words(r"json\.exception|parse error|validation errors?\b|failed to parse|invalid json")
HIGH_DEMAND: Final = _words(r"high demand|overloaded")

WORDS: Final[tuple[tuple[frozenset[int], re.Pattern[str], Fault], ...]] = (
    (frozenset({400, 413, 422, 500}), _CONTEXT, Fault.CONTEXT_LENGTH),
    (frozenset({400, 403, 451}), _FILTER, Fault.CONTENT_FILTER),
    (frozenset({400}), _KEY, Fault.AUTH),
    (frozenset({400}), _REGION, Fault.PERMISSION),
    (frozenset({400, 403}), MONEY, Fault.QUOTA),
    (frozenset({400, 422}), _MODEL, Fault.MODEL_NOT_FOUND),
    (frozenset({500}), _UNPARSED, Fault.INVALID_REQUEST),
    (frozenset({500, 502}), HIGH_DEMAND, Fault.OVERLOADED),
)
"""The last resort: statuses, words, and what they mean together; the first that matches decides."""

DAILY: Final = _words(r"\bper[ -](?:day|month)\b|\b(?:RPD|TPD)\b|\bdaily\b|\bmonthly\b")
FITS_NEVER: Final = _words(r"request too large|too large for (?:the|your) rate limit")
LIMITS: Final = _words(r"\blimit:?\s*([0-9]{1,18}).{0,60}?\brequested:?\s*([0-9]{1,18})")
ZERO_LIMIT: Final = _words(r"\blimit: 0(?![0-9.])")
