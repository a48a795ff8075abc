"""The line that `systemctl status` shows: what a person wants to know first. Pure.

Everybody on the machine can read it, and a terminal's line is short: each kind of trouble names its first few targets
and counts the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from daemon.routing.availability import workloads_without_target
from daemon.routing.leases import DispatcherView
from state.history.recorder import RecorderState
from state.standing import Standing, TargetHealth

__all__ = ["RECALLING", "RELOADING", "Known", "draining_line", "failure_line", "status_line"]

RECALLING: Final = "recalling the history"
RELOADING: Final = "reading the configuration"
_NAMED: Final = 3
"""How many of a kind are named."""
_LONGEST_NAME: Final = 48
_LONGEST: Final = 400
"""Letters of a line. `systemctl status` cuts what a terminal cannot show; other readers may not."""


class Known(msgspec.Struct, frozen=True):
    """What the line is made from."""

    view: DispatcherView
    history: RecorderState
    stale: tuple[str, ...]
    """Why the configuration on disk was refused, where an older one is in force."""
    now: float
    """Seconds on the clock of the view."""


def status_line(known: Known) -> str:
    """Return how the daemon is: targets, what is wrong with the others, requests, then what an operator must mend."""
    view, now = known.view, known.now
    targets = tuple(view.snapshot.targets.values())
    phrases = [_healthy(targets), *_unwell(targets, now), *_requests(view)]
    if without := workloads_without_target(view, now):
        phrases.append(f"no target for {_some(f'workload {_short(name)}' for name in without)}")
    if not known.history.ok:
        phrases.append(f"history: {known.history.cause} ({_count(known.history.unsaved_rows, 'row')} unsaved)")
    if known.stale:
        phrases.append(f"the configuration on disk is invalid, an older one is in force: {_first(known.stale)}")
    return _bounded(", ".join(phrases))


def draining_line(requests: int, left_s: float) -> str:
    """Return what is shown while requests are finished before the end, for at most `left_s` seconds."""
    if not requests:
        return "ending"
    return f"finishing {_count(requests, 'request')}, {max(0.0, left_s):.0f}s left"


def failure_line(problem: str) -> str:
    """Return why the daemon does not start, from a problem or several, a line each."""
    return _bounded(f"cannot start: {_first(tuple(filter(None, problem.splitlines())))}")


def _healthy(targets: tuple[TargetHealth, ...]) -> str:
    well = sum(health.standing is Standing.HEALTHY and not health.drained for health in targets)
    return f"{well}/{len(targets)} targets healthy"


def _unwell(targets: tuple[TargetHealth, ...], now: float) -> list[str]:
    """Return a phrase for each thing that may keep requests from targets, each target in one of them."""
    kinds: dict[str, list[str]] = {"cooling": [], "limited": [], "refused": [], "probation": [], "drained": []}
    unproven = 0
    for health in targets:
        name = _short(health.target)
        if health.drained:
            kinds["drained"].append(f"{name} drained{_left(health.drained_until, now)}")
        elif health.standing is Standing.COOLING:
            kinds["cooling"].append(f"{name} cooling{_left(health.until, now) or ' 0s'}")
        elif left := _left(health.blocked_until, now):
            kinds["limited"].append(f"{name} rate-limited{left}")
        elif health.refused_by is not None and _left(health.refused_until, now):
            kinds["refused"].append(f"{name} answers {health.refused_by}")
        elif health.standing is Standing.PROBATION:
            kinds["probation"].append(f"{name} on probation")
        else:
            unproven += health.standing is Standing.UNPROVEN
    phrases = [_some(found) for found in kinds.values() if found]
    return [*([f"{unproven} unproven"] if unproven else []), *phrases]


def _requests(view: DispatcherView) -> list[str]:
    in_flight, waiting = sum(view.in_flight.values()), sum(view.waiting.values())
    phrases = [_count(in_flight, "request") + " in flight"] if in_flight else []
    return [*phrases, *([f"{waiting} waiting"] if waiting else [])]


def _left(until: float | None, now: float) -> str:
    """Return how long something lasts, after a space; empty where that is over or not known."""
    if until is None or until <= now:
        return ""
    seconds = round(until - now)
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * length:
            return f" {seconds // length}{unit}"
    return f" {seconds}s"


def _some(found: Iterable[str]) -> str:
    named = list(found)
    more = len(named) - _NAMED
    return ", ".join(named[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _first(problems: tuple[str, ...]) -> str:
    more = len(problems) - 1
    return "".join(problems[:1]) + (f" (and {more} more)" if more > 0 else "")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _bounded(line: str) -> str:
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
