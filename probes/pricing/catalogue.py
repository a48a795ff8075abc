"""Looking a model up in the snapshot of price lists that comes with the program.

The snapshot is read when the first model needs it, and of it only the provider that is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final

import msgspec

from state.prices import Price

__all__ = ["Listed", "lookup"]

_FILE: Final = "prices.json"
_WEB: Final = "https://"
"""Whoever is paid by the token is reached by TLS; a server nearby is nobody's that is listed."""
_COMPACT_DATE: Final = re.compile(r"-(20\d\d)([01]\d)([0-3]\d)(?=-|:|$)")


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What a price list says of a model."""

    price: Price | None
    """None where the model is listed without a price that goes by tokens."""
    context_window: int | None
    """Tokens of input, None where it is not listed."""
    provider: str
    """Whose list it is, by the snapshot's name for it, such as `x-ai`."""
    as_of: str
    """The day of the snapshot, such as `2026-11-10`."""


class _Model(msgspec.Struct, frozen=True, array_like=True):
    rule: Any
    price: Price | None
    context_window: int | None


class _Provider(msgspec.Struct, frozen=True):
    id: str
    url: str
    """A pattern that the beginning of its base URLs matches."""
    models: msgspec.Raw
    also: tuple[str, ...] = ()
    """Providers whose models it offers besides, at their prices."""


class _Snapshot(msgspec.Struct, frozen=True):
    as_of: str
    providers: tuple[_Provider, ...]


@lru_cache(maxsize=4096)
def lookup(base_url: str, model: str) -> Listed | None:
    """Return what the lists say of `model` at `base_url`, None where it is not listed. Reads a file at first."""
    if not base_url.startswith(_WEB):
        return None
    name = model.lower()
    return _found(base_url, name) or _found(base_url, _COMPACT_DATE.sub(r"-\1-\2-\3", name))


def _found(base_url: str, name: str) -> Listed | None:
    snapshot = _snapshot()
    for provider in snapshot.providers:
        if re.match(provider.url, base_url) is None:
            continue
        for seller in (provider, *(each for each in snapshot.providers if each.id in provider.also)):
            listed = next((each for each in _models(seller.id) if _fits(each.rule, name)), None)
            if listed is not None:
                return Listed(
                    price=listed.price,
                    context_window=listed.context_window,
                    provider=provider.id,
                    as_of=snapshot.as_of,
                )
    return None


@cache
def _snapshot() -> _Snapshot:
    content = resources.files(__package__ or "probes.pricing").joinpath(_FILE).read_bytes()
    return msgspec.json.decode(content, type=_Snapshot)


@cache
def _models(provider: str) -> tuple[_Model, ...]:
    raw = next(each.models for each in _snapshot().providers if each.id == provider)
    return msgspec.json.decode(raw, type=tuple[_Model, ...])


def _fits(rule: Any, name: str) -> bool:
    """Return whether a name fits a rule: the name itself, or a kind of rule and what it is about."""
    if isinstance(rule, str):
        return name == rule
    kind, *parts = rule
    return any(_fits(part, name) for part in parts) if kind == "any" else _KINDS[kind](name, parts)


_KINDS: Final[Mapping[str, Callable[[str, list[Any]], bool]]] = {
    "all": lambda name, parts: all(_fits(part, name) for part in parts),
    "starts": lambda name, parts: name.startswith(parts[0]),
    "ends": lambda name, parts: name.endswith(parts[0]),
    "has": lambda name, parts: parts[0] in name,
    "like": lambda name, parts: re.search(parts[0], name) is not None,
}
