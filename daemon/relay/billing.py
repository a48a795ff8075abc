"""Who pays: a fallback goes on at the expense of the account that it began with, unless the workload says otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from daemon.relay.calls import ClientCall
from daemon.relay.refusing import Tried
from daemon.routing.leases import Preference
from daemon.routing.policy import Routes, Strategy
from probes.surfaces import speaks
from state.targets import TargetName

__all__ = ["NOBODY_IN_PARTICULAR", "Payers", "payer", "payers_of"]


class Payers(msgspec.Struct, frozen=True):
    """The groups of providers that one account pays for; without any, nothing is ever kept apart."""

    groups: Mapping[TargetName, str] = MappingProxyType({})
    """By target; empty where no provider is in a group."""
    routes: Routes | None = None


NOBODY_IN_PARTICULAR: Final = Payers()


def payers_of(routes: Routes) -> Payers:
    """Return who pays for the targets of `routes`."""
    groups = {target: place.billing for target, place in routes.places.items()}
    return Payers(groups, routes) if any(groups.values()) else NOBODY_IN_PARTICULAR


def payer(call: ClientCall, preference: Preference, tried: Sequence[Tried], payers: Payers) -> str | None:
    """Return the group that pays for the request's next attempt; None where any may.

    It is that of the first target that was tried. Before, it is that of the primary path, where there is one: under
    `priority` the first target, and of those that suit the request best that of all of them. A canary's candidate
    commits nobody: the workload named it, and what comes after it are the workload's own.
    """
    workload = call.workload
    if not payers.groups or workload.cross_billing:
        return None
    first = next((target for target, _ in tried if target != preference.candidate), None)
    if first is not None:
        return payers.groups.get(first, "")
    groups = preference.groups if preference.candidate is None else preference.groups[1:]
    path = groups[0] if groups else ()
    if not path and workload.strategy == Strategy.PRIORITY:
        path = _first(call, payers)
    paid = {payers.groups.get(target, "") for target in path}
    return paid.pop() if len(paid) == 1 else None


def _first(call: ClientCall, payers: Payers) -> tuple[TargetName, ...]:
    """Return the first target of the workload that speaks the request's dialect."""
    places = payers.routes.places if payers.routes is not None else {}
    for target in call.workload.targets:
        place = places.get(target)
        if place is not None and speaks(place.dialect, call.surface):
            return (target,)
    return ()
