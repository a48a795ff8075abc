"""Anything that a choice can be made from: fleets, loads and queries with every field set, also one added tomorrow."""

from __future__ import annotations

import math
from typing import Any, TypeVar, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from daemon.routing.latency import Silence
from daemon.routing.leases import Candidate, RouteQuery, UnderWay
from daemon.routing.policy import Routes, Strategy, TargetPlace, Workload
from daemon.routing.selection import Load
from daemon.routing.strategies.strategy import Turn
from probes.dialects.needs import Needs
from probes.policy import Abilities
from state.durations import Seconds
from state.latency.cold import Cold
from state.latency.estimator import Estimator
from state.latency.knee import Knee
from state.latency.lengths import Lengths
from state.latency.level import Level
from state.latency.reliability import Reliability
from state.pages import PageReport
from state.prices import Price, PriceTier
from state.quota import Allowance, Headroom, Quota
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
        hedges=st.none() | st.builds(UnderWay, st.builds(Candidate, some), times),
    )
    healths = {name: _every(TargetHealth, times, target=st.just(name), **_beliefs()) for name in TARGETS}
    lengths = st.builds(Lengths, st.floats(1, 1e5), st.floats(0, 1), _COUNTS, _COUNTS)
    snapshots = _every(
        HealthSnapshot,
        times,
        targets=st.fixed_dictionaries({}, optional=healths),
        lengths=st.dictionaries(_WORDS, lengths, max_size=2),
    )
    by_target = st.dictionaries(some, _COUNTS, max_size=2)
    counted = dict.fromkeys(("targets", "sent", "tokens_sent", "trials"), by_target)
    by_provider = st.dictionaries(st.sampled_from("abc"), _COUNTS, max_size=2)
    turns = st.builds(Turn, _COUNTS, st.integers(0, 2**64 - 1))
    silent = st.dictionaries(some, st.lists(st.builds(Silence, times, times, times), max_size=3).map(tuple), max_size=2)
    sent_at = st.dictionaries(some, times, max_size=2)
    loads = _every(Load, times, providers=by_provider, turn=turns, silences=silent, sent_at=sent_at, **counted)
    return st.tuples(queries, _routes(times), snapshots, loads, times)


def _beliefs() -> dict[str, st.SearchStrategy[Any]]:
    """Return what is believed of a target, as evidence may leave it: none of it is any number that there is."""
    sound, moments = st.floats(0.001, 3.0), st.floats(-1e6, 1e6)
    levels = st.builds(Level, st.floats(-9, 9), sound, sound, sound, st.integers(-1, 1), moments, _COUNTS, _COUNTS)
    knees = st.just(Knee()) | st.builds(Knee, st.floats(1, 99), sound, _COUNTS)
    colds = st.just(Cold()) | st.builds(Cold, sound, sound)
    bests = st.just(math.inf) | st.floats(-9, 9)
    return {
        "estimator": st.builds(Estimator, levels, levels, bests, bests, sound, knees, colds),
        "reliability": st.builds(Reliability, sound, sound, sound, sound, sound, moments, _COUNTS),
        "forecast": st.none(),
        "page": st.none() | st.builds(PageReport, st.floats(0, 1), _WORDS, moments),
        "heard": st.lists(moments, max_size=5).map(tuple),
        "quota": st.none() | st.builds(_quota, st.floats(0, 99), _COUNTS, moments),
    }


def _quota(left: float, ordinal: int, at: float) -> Quota:
    return Quota().after(Headroom(Allowance(left, 3.0, 60)), ordinal, at)


def _routes(times: st.SearchStrategy[float]) -> st.SearchStrategy[Routes]:
    lacks = st.sets(st.sampled_from(_FEATURES)).map(tuple)
    abilities = st.just(Abilities()) | _every(Abilities, times, lacks=lacks)
    tiers = st.lists(_every(PriceTier, times, above=_COUNTS), max_size=2).map(tuple)
    shared = {"abilities": abilities, "price": st.none() | _every(Price, times, tiers=tiers)}
    places = {name: _every(TargetPlace, times, provider=st.just(provider_of(name)), **shared) for name in TARGETS}
    return _every(Routes, times, workloads=st.just({}), places=st.fixed_dictionaries({}, optional=places))


def _workloads(times: st.SearchStrategy[float]) -> st.SearchStrategy[Workload]:
    """Return workloads over some of the targets, in any order, with a weight for each or none at all."""
    targets = st.permutations(TARGETS).map(tuple)
    weights = st.tuples(*[st.floats(0.01, 100)] * len(TARGETS))
    strategies = st.sampled_from([each.value for each in Strategy])
    whole = _every(Workload, times, targets=targets, weights=st.just(()) | weights, strategy=strategies)
    return st.builds(_shortened, whole, st.integers(1, len(TARGETS)))


def _shortened(workload: Workload, count: int) -> Workload:
    return msgspec.structs.replace(workload, targets=workload.targets[:count], weights=workload.weights[:count])


def _every(kind: type[T], times: st.SearchStrategy[float], **known: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """Return structs with a value for every field, whether this rig knows the field or not."""
    plain = {int: _COUNTS, int | None: st.none() | _COUNTS, float: times, float | None: st.none() | times, str: _WORDS}
    unknown = [field for field in msgspec.structs.fields(kind) if field.name not in known]
    fields = {field.name: plain[field.type] if field.type in plain else _nested(field.type, times) for field in unknown}
    return st.builds(kind, **fields, **known)


def _nested(kind: Any, times: st.SearchStrategy[float]) -> Any:
    """Return structs, those that may be lacking and rows of them; what is none of these Hypothesis knows itself."""
    parts = [part for part in (kind, *get_args(kind)) if isinstance(part, type) and issubclass(part, msgspec.Struct)]
    if not parts:
        return ...
    one = _every(parts[0], times)
    if get_origin(kind) is tuple:
        return st.lists(one, max_size=2).map(tuple)
    return one if parts[0] is kind else st.none() | one
