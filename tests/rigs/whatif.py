"""Histories of requests that a test can count, and configurations to replay them through."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from daemon.config.load import load
from daemon.whatif.rerun import Rerun
from daemon.whatif.tally import Findings
from state.faults import Fault
from state.history.charges import Charged
from state.history.journeys import Journeys
from state.history.migrations import open_history
from state.history.rows import AttemptRow, RequestRow
from state.outcome import Outcome, Usage
from state.targets import TargetName
from tests.rigs.histories import fill

__all__ = ["Go", "Leg", "asking", "configured", "outage", "simulated", "written"]

_CONFIG = """
version = 1

[health]
fall = {fall}
min_samples = 100000

[providers.one]
dialect = "simulated"
models = ["m"]
{one}

[providers.two]
dialect = "simulated"
models = ["m"]
{two}

[providers.new]
dialect = "simulated"
models = ["m"]

[workloads.aside]
targets = ["two/m"]

[workloads.chat]
targets = {targets}
strategy = "{strategy}"
max_attempts = {max_attempts}
{more}
"""
_AS_RECORDED = {"targets": ["one/m", "two/m"], "strategy": "priority", "max_attempts": 1, "fall": 100000}
_AS_RECORDED |= {"one": "", "two": "", "more": ""}


class Leg(NamedTuple):
    """One attempt of a request."""

    target: str
    fault: Fault | None = None
    latency_s: float = 0.1
    streamed: bool = False


class Go(NamedTuple):
    """One request."""

    at: float
    """Seconds since the history's beginning."""
    legs: tuple[Leg, ...]
    cost_usd: float | None = None
    workload: str = "chat"
    usage: Usage = Usage()
    purpose: str = "client"
    label: str | None = None


def configured(folder: Path, **changes: Any) -> Path:
    """Write the configuration by which `outage` came about, with `changes`, and return its file."""
    file = folder / "new.toml"
    settings = _AS_RECORDED | changes
    file.write_text(_CONFIG.format(**settings | {"targets": json.dumps(settings["targets"])}))
    return file


def asking(price: str) -> str:
    """Return the line of a configuration by which a provider's model asks `price`, such as `input = 1, output = 2`."""
    return f"prices = {{ m = {{ {price} }} }}"


def outage(*, legs_after: tuple[Leg, ...] = ()) -> list[Go]:
    """Return 300 requests, one a second, for `one/m`, which fails from the 100th to the 160th.

    Each second one of the workload `aside` goes to `two/m`, and is answered in 200 ms.
    """
    down = range(100, 160)
    first = [Leg("one/m", Fault.SERVER_ERROR if second in down else None) for second in range(300)]
    asked = [Go(float(at), (leg, *legs_after) if leg.fault else (leg,)) for at, leg in enumerate(first)]
    aside = [Go(at + 0.5, (Leg("two/m", None, 0.2),), workload="aside") for at in range(300)]
    return sorted([*asked, *aside], key=lambda go: go.at)


def written(path: Path, requests: Iterable[Go], began: float | None = None) -> Path:
    """Write a history whose first second is `began`, Unix time; an hour ago where that is None."""
    offset = time.time() - 3600.0 if began is None else began
    with closing(open_history(path)) as connection:
        rows = [row for number, one in enumerate(requests) for row in _rows(number, one)]
        fill(connection, tuple(rows), offset)
    return path


def _rows(number: int, one: Go) -> Iterable[Any]:
    request_id, at = f"req_{number}", one.at
    for place, leg in enumerate(one.legs, 1):
        at += leg.latency_s
        usage = Usage() if leg.fault else one.usage
        outcome = Outcome(fault=leg.fault, latency_s=leg.latency_s, streamed=leg.streamed, usage=usage)
        yield AttemptRow(
            at=at,
            request_id=request_id,
            number=place,
            target=TargetName(leg.target),
            outcome=outcome,
            charged=Charged(one.workload, purpose=one.purpose),
            cost_usd=0.0 if leg.fault else one.cost_usd,
        )
    last = one.legs[-1] if one.legs else None
    answered = last is not None and last.fault is None
    yield RequestRow(
        at=one.at,
        request_id=request_id,
        workload=one.workload,
        primary_target=None,
        served_by=TargetName(last.target) if last is not None and answered else None,
        attempts=len(one.legs),
        outcome="ok" if answered else "failed" if one.legs else "refused",
        fault=last.fault if last is not None else None,
        status=200 if answered else 503,
        latency_s=at - one.at,
        streamed=last is not None and last.streamed,
        cost_usd=one.cost_usd,
        usage=one.usage if answered else Usage(),
        purpose=one.purpose,
        label=one.label,
    )


def simulated(history: Path, config: Path, seconds: float = 7200.0) -> Findings:
    """Return what a history comes to under a configuration."""
    findings = Findings()
    with closing(Journeys(history)) as journeys:
        for result in Rerun(load((config,), {}), journeys).results(seconds):
            findings.add(result)
    return findings
