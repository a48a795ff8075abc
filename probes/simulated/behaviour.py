"""How a simulated model behaves, and what chance makes of it for one request."""

from __future__ import annotations

import random
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

import msgspec

__all__ = ["Behaviour", "Mishap", "Outage", "Plan", "behaviour_of", "draw"]

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Outage(StrEnum):
    """What a model does with every request while it is out."""

    NONE = "none"
    REFUSE = "refuse"
    """Answer 503."""
    HANG = "hang"
    """Take the request and never answer."""
    DROP = "drop"
    """Close the connection."""


class Mishap(StrEnum):
    """What can go wrong with one request."""

    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    RATE_LIMITED = "rate_limited"
    AUTH = "auth"
    HANG = "hang"
    DROP = "drop"
    CUT = "cut"
    """Break off: a stream after some content, a plain answer in its middle."""
    EMPTY = "empty"
    HTML = "html"
    STREAM_ERROR = "stream_error"
    """Report an error within a stream that has begun; a plain answer is a 500."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model's character; every part can be changed while it runs."""

    latency_ms: Annotated[float, msgspec.Meta(ge=0)] = 250
    """Median time to the first token."""
    spread: Annotated[float, msgspec.Meta(ge=0)] = 0.15
    """Sigma of the lognormal around it."""
    tokens_per_second: Annotated[float, msgspec.Meta(gt=0)] = 200
    tokens: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 12
    """How many tokens an answer has."""
    faults: Mapping[Mishap, _Share] = msgspec.field(default_factory=dict)
    """The share of requests that meet each mishap; what the shares leave goes well."""
    outage: Outage = Outage.NONE


class Plan(msgspec.Struct, frozen=True):
    """What one request will meet. Times are seconds."""

    first_token_s: float
    token_s: float
    tokens: int
    mishap: Mishap | None = None


_KNOWN: Final = {
    "fast": Behaviour(latency_ms=120),
    "steady": Behaviour(latency_ms=250, spread=0.05),
    "slow": Behaviour(latency_ms=900),
    "flaky": Behaviour(latency_ms=140, faults={Mishap.SERVER_ERROR: 0.2, Mishap.OVERLOADED: 0.1}),
}
_OUTAGES: Final = {Outage.REFUSE: Mishap.OVERLOADED, Outage.HANG: Mishap.HANG, Outage.DROP: Mishap.DROP}


def behaviour_of(model: str) -> Behaviour:
    """Return the character that a model's name promises: `fast`, `steady`, `slow`, `flaky`, or an ordinary one."""
    return _KNOWN.get(model, Behaviour())


def draw(behaviour: Behaviour, luck: random.Random) -> Plan:
    """Return what a request meets: the outage first, else a mishap by its share, else an answer."""
    first_token_s = behaviour.latency_ms / 1e3 * luck.lognormvariate(0, behaviour.spread)
    return Plan(
        first_token_s=first_token_s,
        token_s=1 / behaviour.tokens_per_second,
        tokens=behaviour.tokens,
        mishap=_OUTAGES.get(behaviour.outage) or _mishap(behaviour.faults, luck.random()),
    )


def _mishap(faults: Mapping[Mishap, float], point: float) -> Mishap | None:
    for mishap, share in faults.items():
        if point < share:
            return mishap
        point -= share
    return None
