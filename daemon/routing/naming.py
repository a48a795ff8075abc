"""What a client calls a model, and the workload that it means."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from daemon.routing.policy import Routes, Workload
from state.targets import TargetName, split_target

__all__ = ["UnknownModel", "known_names", "resolve"]

_AUTO = "auto"


class UnknownModel(msgspec.Struct, frozen=True, kw_only=True):
    """A name that means nothing here, and the nearest ones that do."""

    name: str
    nearest: tuple[str, ...]


def resolve(name: str, routes: Routes) -> Workload | UnknownModel:
    """Return the workload that `name` means.

    In this order: a workload's name; `auto`, the default workload (or the only one); `provider/model`, that target
    alone; a model's bare name, every target that serves it.
    """
    names = _names(_Key(routes))
    workload = names.get(name)
    if workload is not None:
        return workload
    return UnknownModel(name=name, nearest=tuple(difflib.get_close_matches(name, names, n=3, cutoff=0.5)))


def known_names(routes: Routes) -> tuple[str, ...]:
    """Return what clients are told that they may ask for: workloads first, then targets."""
    return (*routes.workloads, *routes.places)


class _Key:
    """Routes by identity: a reload makes new ones, and hashing their contents on each request would cost more."""

    __slots__ = ("routes",)

    def __init__(self, routes: Routes) -> None:
        self.routes = routes

    def __hash__(self) -> int:
        return id(self.routes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.routes is self.routes


@lru_cache(maxsize=4)
def _names(key: _Key) -> Mapping[str, Workload]:
    routes = key.routes
    names: dict[str, Workload] = {}
    for target in routes.places:
        _, model = split_target(target)
        serving = (*names[model].targets, target) if model in names else (target,)
        names[model] = Workload(name=model, targets=serving, named=False)
    for target in routes.places:
        names[target] = Workload(name=target, targets=(TargetName(target),), named=False)
    default = _default(routes)
    if default is not None:
        names[_AUTO] = default
    names.update(routes.workloads)
    return names


def _default(routes: Routes) -> Workload | None:
    marked = [workload for workload in routes.workloads.values() if workload.default]
    return next(iter(marked or (routes.workloads.values() if len(routes.workloads) == 1 else ())), None)
