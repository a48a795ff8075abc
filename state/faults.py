"""The kinds of fault, whose failure each is, and what each may cause: one table, read by everyone."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

__all__ = [
    "DEFAULT_FALLBACK_ON",
    "ENTITLEMENT",
    "FAULT_RULES",
    "NEVER_FALLBACK_ON",
    "Blame",
    "FallbackUse",
    "Fault",
    "FaultRule",
    "HealthEffect",
    "Retry",
    "Scope",
    "Wait",
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

    CALLER = "caller"
    POLICY = "policy"
    """A rule about content, the provider's or the workload's."""
    TRANSPORT = "transport"
    PROVIDER = "provider"
    MODEL = "model"
    KEY = "key"
    """The credential: what it is allowed, and how much of it is used up."""
    OURSELVES = "ourselves"
    """Fairlead's own doing, such as a fault that an operator ordered as a rehearsal."""


class FallbackUse(StrEnum):
    """When a fault may lead to a fallback."""

    BY_DEFAULT = "by_default"
    IF_NAMED = "if_named"
    NEVER = "never"


class Retry(StrEnum):
    """Whether the same target may be asked once more."""

    NEVER = "never"
    ALONE = "alone"
    """Once, where no other target can take the request: elsewhere is better than again."""


class HealthEffect(StrEnum):
    """What a fault does to its target's health."""

    EJECTS = "ejects"
    """It counts against the standing."""
    BLOCKS = "blocks"
    """It stops new requests for as long as the provider asks, and leaves the standing alone."""
    REFUSES = "refuses"
    """A key or a model's name is wrong: it stops the requests of those workloads that fall back on it."""
    NOTHING = "nothing"


class Scope(StrEnum):
    """What else a fault speaks of besides its own target."""

    HOST = "host"
    """Everything at the provider's base URL."""
    CREDENTIAL = "credential"
    """Everything that the provider's key pays for."""
    TARGET = "target"
    """One model at one provider."""


class Wait(msgspec.Struct, frozen=True):
    """How long a target is left alone that gave no hint: `first_s`, doubled each round, at most `longest_s`."""

    first_s: float
    longest_s: float


class FaultRule(msgspec.Struct, frozen=True, kw_only=True):
    """Whose failure one kind of fault is, and what it may cause."""

    blame: Blame
    fallback: FallbackUse
    health: HealthEffect = HealthEffect.NOTHING
    retry: Retry = Retry.NEVER
    scope: Scope = Scope.TARGET
    wait: Wait | None = None
    """For faults that block or refuse. The cooldown of those that eject is the health policy's."""


_HOUR_S: Final = 3600.0
_FAILED_ONCE: Final = FaultRule(
    blame=Blame.PROVIDER, fallback=FallbackUse.BY_DEFAULT, health=HealthEffect.EJECTS, retry=Retry.ALONE
)
_DOES_NOT_SUIT: Final = FaultRule(blame=Blame.CALLER, fallback=FallbackUse.IF_NAMED)
_CALLERS_OWN: Final = FaultRule(blame=Blame.CALLER, fallback=FallbackUse.NEVER)

FAULT_RULES: Final[dict[Fault, FaultRule]] = {
    Fault.UNREACHABLE: FaultRule(
        blame=Blame.TRANSPORT,
        fallback=FallbackUse.BY_DEFAULT,
        health=HealthEffect.EJECTS,
        retry=Retry.ALONE,
        scope=Scope.HOST,
    ),
    Fault.TLS: FaultRule(
        blame=Blame.TRANSPORT, fallback=FallbackUse.IF_NAMED, health=HealthEffect.EJECTS, scope=Scope.HOST
    ),
    # Asking again may be billed twice.
    Fault.TIMEOUT: FaultRule(blame=Blame.PROVIDER, fallback=FallbackUse.BY_DEFAULT, health=HealthEffect.EJECTS),
    Fault.OVERLOADED: _FAILED_ONCE,
    Fault.SERVER_ERROR: _FAILED_ONCE,
    Fault.BAD_REPLY: _FAILED_ONCE,
    Fault.RATE_LIMITED: FaultRule(
        blame=Blame.KEY,
        fallback=FallbackUse.BY_DEFAULT,
        health=HealthEffect.BLOCKS,
        retry=Retry.ALONE,
        wait=Wait(0.5, 8.0),  # the guess that was measured best; a single trial after it keeps a wrong one cheap
    ),
    Fault.QUOTA: FaultRule(
        blame=Blame.KEY,
        fallback=FallbackUse.BY_DEFAULT,
        health=HealthEffect.BLOCKS,
        wait=Wait(_HOUR_S, 24 * _HOUR_S),
    ),
    Fault.AUTH: FaultRule(
        blame=Blame.KEY,
        fallback=FallbackUse.IF_NAMED,
        health=HealthEffect.REFUSES,
        scope=Scope.CREDENTIAL,
        wait=Wait(900.0, 900.0),
    ),
    Fault.PERMISSION: FaultRule(
        blame=Blame.KEY, fallback=FallbackUse.IF_NAMED, health=HealthEffect.REFUSES, wait=Wait(_HOUR_S, _HOUR_S)
    ),
    Fault.MODEL_NOT_FOUND: FaultRule(
        blame=Blame.MODEL, fallback=FallbackUse.IF_NAMED, health=HealthEffect.REFUSES, wait=Wait(60.0, _HOUR_S)
    ),
    Fault.CONTEXT_LENGTH: _DOES_NOT_SUIT,
    Fault.TOO_LARGE: _DOES_NOT_SUIT,
    Fault.CONTENT_FILTER: FaultRule(blame=Blame.POLICY, fallback=FallbackUse.IF_NAMED),
    Fault.INVALID_REQUEST: _CALLERS_OWN,
    Fault.CANCELLED: _CALLERS_OWN,
    Fault.CUT: FaultRule(blame=Blame.PROVIDER, fallback=FallbackUse.NEVER, health=HealthEffect.EJECTS),
}
"""One rule per fault. The boundary of 400, 401 and 403 against 429, 5xx and timeouts is that of the policy guides which
the contract names; waits are those that providers' own documents and users' reports suggest."""

DEFAULT_FALLBACK_ON: Final = tuple(
    fault for fault, rule in FAULT_RULES.items() if rule.fallback is FallbackUse.BY_DEFAULT
)
ENTITLEMENT: Final = frozenset({Fault.AUTH, Fault.PERMISSION, Fault.MODEL_NOT_FOUND})
"""What a key is not allowed, or a name does not exist: a matter of configuration, and always worth an alert."""
NEVER_FALLBACK_ON: Final = tuple(fault for fault, rule in FAULT_RULES.items() if rule.fallback is FallbackUse.NEVER)
