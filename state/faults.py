"""The kinds of fault, whose failure each is, and what each may cause: one table, read by everyone."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

__all__ = [
    "DEFAULT_FALLBACK_ON",
    "FAULT_RULES",
    "NEVER_FALLBACK_ON",
    "Blame",
    "FallbackUse",
    "Fault",
    "FaultRule",
    "HealthEffect",
]


class Fault(StrEnum):
    """The kind of a failure; the words of `fallback_on`, of the history and of the metrics."""

    UNREACHABLE = "unreachable"
    TLS = "tls"
    TIMEOUT = "timeout"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    BAD_REPLY = "bad_reply"
    RATE_LIMITED = "rate_limited"
    QUOTA = "quota"
    AUTH = "auth"
    PERMISSION = "permission"
    MODEL_NOT_FOUND = "model_not_found"
    CONTEXT_LENGTH = "context_length"
    TOO_LARGE = "too_large"
    CONTENT_FILTER = "content_filter"
    INVALID_REQUEST = "invalid_request"
    CANCELLED = "cancelled"
    CUT = "cut"


class Blame(StrEnum):
    """Whose failure a fault is."""

    CLIENT = "client"
    PROVIDER = "provider"
    TRANSPORT = "transport"
    CAPACITY = "capacity"
    CREDENTIAL = "credential"
    MODEL = "model"


class FallbackUse(StrEnum):
    """When a fault may lead to a fallback."""

    BY_DEFAULT = "by_default"
    IF_NAMED = "if_named"
    NEVER = "never"


class HealthEffect(StrEnum):
    """What a fault does to its target's health."""

    EJECTS = "ejects"
    """It counts against the standing."""
    BLOCKS = "blocks"
    """It stops new requests for as long as the provider asks, and leaves the standing alone."""
    NOTHING = "nothing"


class FaultRule(msgspec.Struct, frozen=True):
    """Whose failure one kind of fault is, and what it may cause."""

    blame: Blame
    fallback: FallbackUse
    health: HealthEffect


_PROVIDER_FAILED = FaultRule(Blame.PROVIDER, FallbackUse.BY_DEFAULT, HealthEffect.EJECTS)
_NO_ROOM = FaultRule(Blame.CAPACITY, FallbackUse.BY_DEFAULT, HealthEffect.BLOCKS)
_NOT_ENTITLED = FaultRule(Blame.CREDENTIAL, FallbackUse.IF_NAMED, HealthEffect.NOTHING)
_DOES_NOT_SUIT = FaultRule(Blame.CLIENT, FallbackUse.IF_NAMED, HealthEffect.NOTHING)
_CLIENTS_OWN = FaultRule(Blame.CLIENT, FallbackUse.NEVER, HealthEffect.NOTHING)

FAULT_RULES: Final[dict[Fault, FaultRule]] = {
    Fault.UNREACHABLE: FaultRule(Blame.TRANSPORT, FallbackUse.BY_DEFAULT, HealthEffect.EJECTS),
    Fault.TLS: FaultRule(Blame.TRANSPORT, FallbackUse.IF_NAMED, HealthEffect.EJECTS),
    Fault.TIMEOUT: _PROVIDER_FAILED,
    Fault.OVERLOADED: _PROVIDER_FAILED,
    Fault.SERVER_ERROR: _PROVIDER_FAILED,
    Fault.BAD_REPLY: _PROVIDER_FAILED,
    Fault.RATE_LIMITED: _NO_ROOM,
    Fault.QUOTA: _NO_ROOM,
    Fault.AUTH: _NOT_ENTITLED,
    Fault.PERMISSION: _NOT_ENTITLED,
    Fault.MODEL_NOT_FOUND: FaultRule(Blame.MODEL, FallbackUse.IF_NAMED, HealthEffect.NOTHING),
    Fault.CONTEXT_LENGTH: _DOES_NOT_SUIT,
    Fault.TOO_LARGE: _DOES_NOT_SUIT,
    Fault.CONTENT_FILTER: _DOES_NOT_SUIT,
    Fault.INVALID_REQUEST: _CLIENTS_OWN,
    Fault.CANCELLED: _CLIENTS_OWN,
    Fault.CUT: FaultRule(Blame.PROVIDER, FallbackUse.NEVER, HealthEffect.EJECTS),
}
"""One rule per fault; the boundary of 400, 401 and 403 against 429, 5xx and timeouts is the seeds'."""

DEFAULT_FALLBACK_ON: Final = tuple(
    fault for fault, rule in FAULT_RULES.items() if rule.fallback is FallbackUse.BY_DEFAULT
)
NEVER_FALLBACK_ON: Final = tuple(fault for fault, rule in FAULT_RULES.items() if rule.fallback is FallbackUse.NEVER)
