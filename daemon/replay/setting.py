"""A setting: everything that one choice was made from, so that it can be made again."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final, TypeVar, get_args, get_origin

import msgspec

from daemon.replay.packing import Packer, unpacker
from daemon.routing.leases import Choice, RouteQuery
from daemon.routing.policy import Routes, TargetPlace, Workload
from daemon.routing.selection import Load, choose
from state.errors import FairleadError
from state.standing import HealthSnapshot, TargetHealth
from state.targets import TargetName, provider_of

__all__ = ["Setting", "SettingUnreadable", "replayed", "setting_of", "unpacked"]

S = TypeVar("S", bound=msgspec.Struct)

_QUICKLY: Final = 1
"""The level of compression: 3 targets take 604 bytes instead of 1,355, for 15 µs; slower levels save nothing more."""
_PACKER: Final = Packer(lasting=(Workload, TargetPlace, TargetHealth))


class SettingUnreadable(FairleadError):
    """A recorded setting is not one that this version can read."""


class Setting(msgspec.Struct, frozen=True):
    """What `choose` was given; recorded, it is cut down to the targets of the query's workload and their providers."""

    query: RouteQuery
    routes: Routes
    snapshot: HealthSnapshot
    load: Load
    now: float
    """When it was chosen, seconds on the monotonic clock: every time in the snapshot is on it too."""

    def packed(self) -> bytes | None:
        """Return it as bytes, None where it holds what no file could keep: then the choice cannot be made again."""
        try:
            return zlib.compress(_PACKER.pack(self.cut()), _QUICKLY)
        except (UnicodeEncodeError, OverflowError):  # what a provider or an operator wrote, in a reason or a number
            return None

    def cut(self) -> Setting:
        """Return it without what a choice does not read: other targets, and other workloads' experience."""
        targets, name = self.query.workload.targets, self.query.workload.name
        lengths = {name: known} if (known := self.snapshot.lengths.get(name)) is not None else {}
        snapshot = msgspec.structs.replace(_cut(self.snapshot, targets), lengths=lengths)
        return Setting(self.query, _cut(self.routes, targets), snapshot, self.load, self.now)


_UNPACK: Final = unpacker(Setting)


def setting_of(query: RouteQuery, routes: Routes, snapshot: HealthSnapshot, load: Load, now: float) -> Setting:
    """Return all that `choose` reads when it is given the same; what changes under way is copied at once."""
    return Setting(query, routes, snapshot, _cut(load, query.workload.targets), now)


def replayed(setting: Setting) -> Choice:
    """Return the choice that the code of today makes in `setting`."""
    return choose(setting.query, setting.routes, setting.snapshot, setting.load, setting.now)


def unpacked(packed: bytes) -> Setting:
    """Return a recorded setting. Raises SettingUnreadable where these bytes are none that this version can read."""
    try:
        return _UNPACK(zlib.decompress(packed))
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError, TypeError, RecursionError) as error:
        raise SettingUnreadable(f"{type(error).__name__}: {error}") from error


def _cut(whole: S, targets: tuple[TargetName, ...]) -> S:
    """Return `whole` with nothing but these targets, and their providers, in its mappings."""
    cut = {}
    for field, by_target in _mappings(type(whole)):
        mapping = getattr(whole, field)
        names = targets if by_target else _providers(targets)
        cut[field] = {name: mapping[name] for name in names if name in mapping}
    return msgspec.structs.replace(whole, **cut)


@cache
def _mappings(kind: type[msgspec.Struct]) -> tuple[tuple[str, bool], ...]:
    """Return the fields that are mappings, and of each whether it is by target; else it is by provider."""
    mappings = [field for field in msgspec.structs.fields(kind) if get_origin(field.type) is Mapping]
    return tuple((field.name, get_args(field.type)[0] is TargetName) for field in mappings)


@lru_cache(maxsize=1024)
def _providers(targets: tuple[TargetName, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(provider_of, targets)))
