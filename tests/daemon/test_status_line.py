"""The line of `systemctl status`: short, true, and what a person wants to know first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.routing.leases import DispatcherView
from daemon.routing.policy import Routes, TargetPlace, Workload
from daemon.service.status_line import Known, draining_line, failure_line, status_line
from probes.policy import Dialect
from state.faults import Fault
from state.history.recorder import RecorderState
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName, provider_of

NOW = 1000.0
WELL = RecorderState(ok=True, cause="", unsaved_rows=0, lost_rows=0, path=Path("h"), wal_bytes=0)


def target(name: str, standing: Standing = Standing.HEALTHY, **more: Any) -> TargetHealth:
    """Return a target's health."""
    return TargetHealth(target=TargetName(name), standing=standing, **more)


def cooling(name: str, left_s: float = 41.2) -> TargetHealth:
    """Return a target that is cooling."""
    return target(name, Standing.COOLING, until=NOW + left_s)


def known(*targets: TargetHealth, **more: Any) -> Known:
    """Return what is known of a daemon with `targets`, all of one workload `chat`."""
    names = tuple(health.target for health in targets)
    places = {name: TargetPlace(provider=provider_of(name), dialect=Dialect.OPENAI, max_in_flight=9) for name in names}
    view = DispatcherView(
        snapshot=HealthSnapshot(at=NOW, targets={health.target: health for health in targets}),
        routes=Routes(workloads={"chat": Workload(name="chat", targets=names)}, places=places),
        in_flight=more.pop("in_flight", {}),
        waiting=more.pop("waiting", {}),
    )
    return Known(view, more.pop("history", WELL), more.pop("stale", ()), NOW)


WELL_TARGETS = [target(f"p/{number}") for number in range(5)]


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (known(*WELL_TARGETS), "5/5 targets healthy"),
        (known(*WELL_TARGETS, cooling("openai/gpt-5")), "5/6 targets healthy, openai/gpt-5 cooling 41s"),
        (known(*WELL_TARGETS, cooling("a/b", 300)), "5/6 targets healthy, a/b cooling 5m"),
        (known(*WELL_TARGETS, cooling("a/b", -1)), "5/6 targets healthy, a/b cooling 0s"),
        (known(*WELL_TARGETS, target("a/b", drained=True)), "5/6 targets healthy, a/b drained"),
        (
            known(*WELL_TARGETS, target("a/b", drained=True, drained_until=NOW + 7200)),
            "5/6 targets healthy, a/b drained 2h",
        ),
        (known(*WELL_TARGETS, target("a/b", Standing.PROBATION)), "5/6 targets healthy, a/b on probation"),
        (known(*WELL_TARGETS, target("a/b", Standing.UNPROVEN)), "5/6 targets healthy, 1 unproven"),
        (
            known(*WELL_TARGETS, target("a/b", blocked_until=NOW + 12, blocked_by=Fault.RATE_LIMITED)),
            "6/6 targets healthy, a/b rate-limited 12s",
        ),
        (
            known(*WELL_TARGETS, target("a/b", refused_until=NOW + 12, refused_by=Fault.AUTH)),
            "6/6 targets healthy, a/b answers auth",
        ),
        (
            known(*WELL_TARGETS, in_flight={TargetName("p/1"): 2, TargetName("p/2"): 1}, waiting={"chat": 4}),
            "5/5 targets healthy, 3 requests in flight, 4 waiting",
        ),
        (known(cooling("a/b")), "0/1 targets healthy, a/b cooling 41s, no target for workload chat"),
        (
            known(
                *WELL_TARGETS,
                history=RecorderState(
                    ok=False, cause="the disk is full", unsaved_rows=7, lost_rows=0, path=Path("h"), wal_bytes=0
                ),
            ),
            "5/5 targets healthy, history: the disk is full (7 rows unsaved)",
        ),
        (
            known(*WELL_TARGETS, stale=("f:3: a", "f:4: b")),
            "5/5 targets healthy, the configuration on disk is invalid, an older one is in force: f:3: a (and 1 more)",
        ),
    ],
)
def test_the_line_says_how_it_is(shown: Known, line: str) -> None:
    """Law: how many are well, then each that is not and for how long, then requests, then what is to be mended."""
    assert status_line(shown) == line


def test_of_many_the_first_few_are_named() -> None:
    """Law: a line has room for three of a kind."""
    line = status_line(known(*[cooling(f"p/{number}") for number in range(10)], target("p/well")))
    assert line == "1/11 targets healthy, p/0 cooling 41s, p/1 cooling 41s, p/2 cooling 41s and 7 more"


_HEALTH = st.builds(
    TargetHealth,
    target=st.text(min_size=1, max_size=300).map(lambda name: TargetName(f"p/{name}")),
    standing=st.sampled_from(Standing),
    until=st.none() | st.floats(0, 1e9),
    drained=st.booleans(),
    drained_until=st.none() | st.floats(0, 1e9),
    blocked_until=st.none() | st.floats(0, 1e9),
)


@given(st.lists(_HEALTH, max_size=30, unique_by=lambda health: health.target), st.lists(st.text(max_size=2000)))
def test_the_line_is_bounded(targets: list[TargetHealth], stale: list[str]) -> None:
    """Law: whatever targets are called and however many they are, the line has at most 400 letters."""
    line = status_line(known(*targets, stale=tuple(stale)))
    assert len(line) <= 400
    assert "targets healthy" in line


def test_the_end_is_counted_down() -> None:
    """Law: who waits for a stop sees for what, and for how long at most."""
    assert draining_line(3, 12.3) == "finishing 3 requests, 12s left"
    assert draining_line(1, -0.1) == "finishing 1 request, 0s left"
    assert draining_line(0, 30.0) == "ending"


def test_why_it_does_not_start_is_one_line() -> None:
    """Law: the first problem, and how many more there are."""
    assert failure_line("f.toml:1: a\nf.toml:2: b\n\nf.toml:3: c") == "cannot start: f.toml:1: a (and 2 more)"
