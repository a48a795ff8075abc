"""What a request and a streamed chunk cost in fairlead, beside haproxy doing the same work: `make bench-quick`.

CPU is the figure to trust on a shared machine: throughput and the tails of latency swing with whoever else is on it.
The systems take turns within each round, so that a slow moment hits all of them; the figures are medians of rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.native import EVENTS_A_STREAM, Answered, Load, Tools
from benchmarks.processes import BenchmarkError, Cores, Process
from benchmarks.systems import FAIRLEAD, Fairlead, fairlead, haproxy, haproxy_installed

__all__ = ["main"]

_FLUSH_S = 0.3
"""The history is written up to 250 ms after a request; its CPU belongs to the request too."""


class System(msgspec.Struct, frozen=True):
    """Something that answers, and the process whose CPU is counted; without one it is the provider itself."""

    name: str
    where: int | Path
    process: Process | None
    prefix: str = ""
    """What comes before the model's name."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of load that the systems do in turns."""

    title: str
    model: str
    streamed: bool = False
    connections: int
    seconds: float
    parts: int = 1
    """How many pieces an answer has: CPU is given for each of them."""


PLAIN = Work(title="plain requests, 16 connections", model="gpt-4o-mini", connections=16, seconds=1.5)
ALONE = Work(title="plain requests, one at a time", model="gpt-4o-mini", connections=1, seconds=0.7)
PACED = Work(
    title="streams of 50 chunks 5 ms apart, 32 connections",
    model="gpt-4o-mini-paced",
    streamed=True,
    connections=32,
    seconds=1.5,
    parts=EVENTS_A_STREAM,
)


class Sample(msgspec.Struct, frozen=True):
    """One turn of one system."""

    cpu_us: float | None
    """CPU per request, or per chunk of a stream."""
    answered: Answered


def _turn(tools: Tools, system: System, work: Work) -> Sample:
    load = Load(
        where=system.where,
        model=system.prefix + work.model,
        streamed=work.streamed,
        connections=work.connections,
        seconds=work.seconds,
    )
    if system.process is None:
        return Sample(None, tools.answered(load))
    before = system.process.cpu_s()
    answered = tools.answered(load)
    time.sleep(_FLUSH_S)
    return Sample((system.process.cpu_s() - before) / (answered.n * work.parts) * 1e6, answered)


def _compare(tools: Tools, systems: list[System], work: Work, rounds: int) -> dict[str, dict[str, float]]:
    """Let every system do `work` once to warm up and then `rounds` times in turns; return medians by system."""
    samples: dict[str, list[Sample]] = {system.name: [] for system in systems}
    for _ in range(rounds + 1):
        for system in systems:
            samples[system.name].append(_turn(tools, system, work))
    return {name: _medians(taken[1:]) for name, taken in samples.items()}


def _medians(samples: list[Sample]) -> dict[str, float]:
    def median(pick: Callable[[Sample], float]) -> float:
        return round(statistics.median(pick(sample) for sample in samples), 2)

    figures = {
        "requests_per_s": median(lambda sample: sample.answered.rps),
        "latency_p50_us": median(lambda sample: sample.answered.latency_p50_us),
        "latency_p99_us": median(lambda sample: sample.answered.latency_p99_us),
        "first_byte_p50_us": median(lambda sample: sample.answered.first_byte_p50_us),
        "first_byte_p99_us": median(lambda sample: sample.answered.first_byte_p99_us),
    }
    costs = [sample.cpu_us for sample in samples if sample.cpu_us is not None]
    if costs:
        figures |= {"cpu_us": round(statistics.median(costs), 2)}
        figures |= {"cpu_us_least": round(min(costs), 2), "cpu_us_most": round(max(costs), 2)}
    return figures


def _print(work: Work, figures: Mapping[str, Mapping[str, float]]) -> None:
    print(f"\n{work.title}")
    piece = "chunk" if work.streamed else "request"
    print(f"  {'':<18}{'CPU µs/' + piece:>16}{'least-most':>16}{'/ haproxy':>11}{'p50 µs':>10}{'p99 µs':>10}")
    timed = "first_byte" if work.streamed else "latency"
    least = figures.get("haproxy", {}).get("cpu_us")
    for name, of in figures.items():
        cost = span = ratio = "-"
        if "cpu_us" in of:
            cost, span = f"{of['cpu_us']:.1f}", f"{of['cpu_us_least']:.1f}-{of['cpu_us_most']:.1f}"
            ratio = f"{of['cpu_us'] / least:.2f}" if least else "-"
        print(
            f"  {name:<18}{cost:>16}{span:>16}{ratio:>11}{of[f'{timed}_p50_us']:>10.0f}{of[f'{timed}_p99_us']:>10.0f}"
        )
    if work.streamed:
        print("  p50 and p99 are those of the first byte of the body")


def _status_ms(socket: Path, times: int = 7) -> float:
    """Return how long `fairlead status` takes, from the shell's point of view, in milliseconds."""
    taken = []
    for _ in range(times):
        began = time.monotonic()
        done = subprocess.run([FAIRLEAD, "status", "--socket", socket], check=False, capture_output=True, timeout=10)
        taken.append((time.monotonic() - began) * 1e3)
        if done.returncode > 1:
            raise BenchmarkError(f"fairlead status ended with {done.returncode}: {done.stderr.decode()}")
    return round(statistics.median(taken), 1)


def _measure(tools: Tools, folder: Path, cores: Cores, rounds: int) -> dict[str, Any]:
    figures: dict[str, Any] = {"schema": "fairlead.bench-quick/1", "rounds": rounds, "pinned": bool(cores.system)}
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(tools.upstream())
        ours = stack.enter_context(fairlead(folder, upstream, cores))
        systems = [
            System("fairlead, TCP", ours.port, ours.process, "up/"),
            System("fairlead, socket", ours.socket, ours.process, "up/"),
        ]
        if haproxy_installed():
            process, port = stack.enter_context(haproxy(folder, upstream, cores))
            systems.insert(0, System("haproxy", port, process))
        else:
            print("haproxy is not installed (apt install haproxy): fairlead is measured alone")
        direct = System("no proxy", upstream, None)
        for key, work, among in (
            ("plain", PLAIN, systems),
            ("alone", ALONE, [direct, *systems]),
            ("paced", PACED, [direct, *systems]),
        ):
            figures[key] = _compare(tools, among, work, rounds)
            _print(work, figures[key])
        figures["process"] = _process_figures(ours)
    return figures


def _process_figures(ours: Fairlead) -> dict[str, float]:
    memory = ours.process.memory_mb()
    figures = {
        "start_ms": round(ours.start_s * 1e3, 1),
        "status_ms": _status_ms(ours.socket),
        "rss_mb": memory["VmRSS"],
        "rss_highest_mb": memory["VmHWM"],
    }
    print(
        f"\nfairlead started in {figures['start_ms']:.0f} ms (to the first 200 at /readyz), "
        f"`fairlead status` takes {figures['status_ms']:.0f} ms,\nresident memory {figures['rss_mb']:.0f} MB after "
        f"this load, {figures['rss_highest_mb']:.0f} MB at its highest"
    )
    return figures


def _profile(tools: Tools, folder: Path, cores: Cores) -> None:
    """Print where the daemon's own Python spends its time under plain requests; the profiler slows it about twofold."""
    wrapped = (sys.executable, "-m", "cProfile", "-o", str(folder / "profile"))
    with tools.upstream() as upstream:
        with fairlead(folder, upstream, cores, wrapped) as ours:
            load = Load(where=ours.port, model="up/gpt-4o-mini", connections=16, seconds=5)
            answered = tools.answered(load)
        print(f"\nwhere the time goes, {answered.n} plain requests under cProfile, by time in the function itself")
        pstats.Stats(str(folder / "profile")).strip_dirs().sort_stats("tottime").print_stats(10)


def main() -> int:
    """Run, print, and return 0; 1 where an answer was wrong, so that nothing was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quick", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each system has its turn (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--profile", action="store_true", help="print the daemon's ten costliest functions instead")
    asked = parser.parse_args()
    cores = Cores.split()
    try:
        with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name:
            tools = Tools(Path(name), cores)
            if asked.profile:
                _profile(tools, Path(name), cores)
                return 0
            figures = _measure(tools, Path(name), cores, asked.rounds)
    except BenchmarkError as error:
        print(f"bench-quick: {error}", file=sys.stderr)
        return 1
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
