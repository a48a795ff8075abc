"""Anything that a choice can be made from: fleets, loads and queries with every field set, also one added tomorrow."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from daemon.routing.leases import RouteQuery
from daemon.routing.policy import Routes, TargetPlace, Workload
from daemon.routing.selection import Load
from daemon.routing.strategies import Turn
from probes.dialects.needs import Needs
from probes.policy import Abilities
from state.durations import Seconds
from state.sizes import ByteSize
from state.standing import HealthSnapshot, TargetHealth
from state.targets import TargetName, provider_of

__all__ = ["TARGETS", "Known", "known_to_choose"]

T = TypeVar("T", bound=msgspec.Struct)
Known = tuple[RouteQuery, Routes, HealthSnapshot, Load, float]

TARGETS = tuple(TargetName(name) for name in ("a/m", "a/n", "b/m/x", "c/m"))
_WORDS = st.text(max_size=5)
_FEATURES = ("tools", "seed", "images")
_COUNTS = st.integers(0, 3)
st.register_type_strategy(Seconds, st.floats(0, 100).map(Seconds))
st.register_type_strategy(ByteSize, st.integers(0, 2**40).map(ByteSize))


def known_to_choose(times: st.SearchStrategy[float]) -> st.SearchStrategy[Known]:
    """Return the arguments of `choose`, with `times` for everything that is a time or another number with a point."""
    some = st.sampled_from(TARGETS)
    queries = _every(
        RouteQuery,
        times,
        workload=_workloads(times),
        tried=st.sets(some, max_size=1).map(tuple),
        last_resort=st.none() | some,
        needs=st.builds(Needs, _COUNTS, st.frozensets(st.sampled_from(_FEATURES))),
        more_than=st.just(0) | _COUNTS,
    )
    healths = {name: _every(TargetHealth, times, target=st.just(name)) for name in TARGETS}
    snapshots = _every(HealthSnapshot, times, targets=st.fixed_dictionaries({}, optional=healths))
    by_target = st.dictionaries(some, _COUNTS, max_size=2)
    by_provider = st.dictionaries(st.sampled_from("abc"), _COUNTS, max_size=2)
    turns = st.builds(Turn, _COUNTS, st.integers(0, 2**64 - 1))
    loads = _every(Load, times, targets=by_target, providers=by_provider, turn=turns)
    return st.tuples(queries, _routes(times), snapshots, loads, times)


def _routes(times: st.SearchStrategy[float]) -> st.SearchStrategy[Routes]:
    lacks = st.sets(st.sampled_from(_FEATURES)).map(tuple)
    abilities = st.just(Abilities()) | _every(Abilities, times, lacks=lacks)
    places = {
        name: _every(TargetPlace, times, provider=st.just(provider_of(name)), abilities=abilities) for name in TARGETS
    }
    return _every(Routes, times, workloads=st.just({}), places=st.fixed_dictionaries({}, optional=places))


def _workloads(times: st.SearchStrategy[float]) -> st.SearchStrategy[Workload]:
    """Return workloads over some of the targets, in any order, with a weight for each or none at all."""
    targets = st.permutations(TARGETS).map(tuple)
    weights = st.tuples(*[st.floats(0.01, 100)] * len(TARGETS))
    whole = _every(Workload, times, targets=targets, weights=st.just(()) | weights)
    return st.builds(_shortened, whole, st.integers(1, len(TARGETS)))


def _shortened(workload: Workload, count: int) -> Workload:
    return msgspec.structs.replace(workload, targets=workload.targets[:count], weights=workload.weights[:count])


def _every(kind: type[T], times: st.SearchStrategy[float], **known: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """Return structs with a value for every field, whether this rig knows the field or not."""
    plain = {int: _COUNTS, int | None: st.none() | _COUNTS, float: times, float | None: st.none() | times, str: _WORDS}
    unknown = [field for field in msgspec.structs.fields(kind) if field.name not in known]
    fields = {
        field.name: _every(field.type, times) if _is_struct(field.type) else plain.get(field.type, ...)
        for field in unknown
    }
    return st.builds(kind, **fields, **known)


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
