"""The simulator's story for real, and its measured regret beside the predicted one: `python -m benchmarks.story`.

Exit code 0 where the two are within 5 points, 1 where they are not or the story could not be played.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import anyio
import msgspec

from benchmarks.processes import BenchmarkError, Process, until
from benchmarks.routing.arrivals import requests
from benchmarks.story.audience import Audience, Heard
from benchmarks.story.cast import Asked, Record
from benchmarks.story.findings import Played, Run, findings
from benchmarks.story.prediction import simulated
from benchmarks.story.script import LENGTH_S, MODEL, script
from benchmarks.story.telling import as_json, table
from benchmarks.systems import FAIRLEAD
from probes.calls import UpstreamRequest
from probes.policy import Dialect, Provider
from probes.wire import Wires

__all__ = ["main"]

_AFTERWARDS_S: Final = 30.0
"""How long requests may take after the last second of the trace; who is not served by then has failed."""
_SHORTEST_S, _LONGEST_S = 10.0, 140.0
_CANARIES_S: Final = 5.0
"""By then the daemon has sent its first ones."""

_CONFIG = """\
version = 1

{providers}
[workloads.story]
targets = [{targets}]
strategy = "lowest-latency"
hedge = true
max_wait = "45s"
default = true
"""
_PROVIDER = """\
[providers.{name}]
dialect = "openai"
base_url = "unix://{folder}/{name}.sock"
models = ["{model}"]
max_in_flight = 1024
probe = {{ kind = "canary", every = "30s" }}

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, print, and return 0 where the measured regret is within 5 points of the predicted one, else 1."""
    asked = _parser().parse_args(arguments)
    trace = script(asked.seconds)
    try:
        with tempfile.TemporaryDirectory(prefix="fairlead-story-") as name:
            played = _played(Path(name), asked.seconds, asked.seed)
    except BenchmarkError as error:
        print(f"story: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    run = Run(trace=trace, seed=asked.seed, predicted=simulated(trace, asked.seed, "fairlead"), played=played)
    found = findings(run, simulated(trace, asked.seed, "oracle"))
    print(as_json(found) if asked.json else table(found))
    return 0 if found.holds else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.story", description=__doc__)
    parser.add_argument("--seconds", type=_length, default=LENGTH_S, metavar="N", help="how long the trace is (120)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the luck of all requests (1)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser


def _length(text: str) -> float:
    seconds = float(text)
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text} is not from {_SHORTEST_S:g} to {_LONGEST_S:g}")
    return seconds


def _played(folder: Path, seconds: float, seed: int) -> Played:
    """Start the providers and the daemon, play the story, and end them."""
    names = [provider.name for provider in script(seconds).providers]
    cast: list[str | Path] = [sys.executable, "-m", "benchmarks.story.cast", "--folder", folder]
    with Process([*cast, "--seconds", str(seconds), "--seed", str(seed)], folder / "cast.log") as providers:
        providers.wait_for("listening")
        with Process(_daemon(folder, names), folder / "daemon.log") as daemon:
            until(daemon, folder / "d.sock", "/readyz")
            cpu_s = daemon.cpu_s()
            heard, attempts = anyio.run(_play, folder, seconds, seed, backend_options={"use_uvloop": True})
            if not (daemon.running and providers.running):
                raise BenchmarkError(f"a process ended before the story did:\n{daemon.last_words()}")
            return Played(heard=heard, asked=attempts, daemon_cpu_s=daemon.cpu_s() - cpu_s)


def _daemon(folder: Path, names: Sequence[str]) -> list[str | Path]:
    """Write the daemon's configuration and return the command that starts it."""
    providers = "".join(_PROVIDER.format(name=name, folder=folder, model=MODEL) for name in names)
    targets = ", ".join(f'"{name}/{MODEL}"' for name in names)
    config = folder / "fairlead.toml"
    config.write_text(_CONFIG.format(providers=providers, targets=targets), encoding="ascii")
    places: list[str | Path] = ["--socket", folder / "d.sock", "--listen", "none", "--history", folder / "h.sqlite"]
    return [FAIRLEAD, "serve", "--config", config, *places]


async def _play(folder: Path, seconds: float, seed: int) -> tuple[list[Heard], dict[str, list[Asked]]]:
    """Return what the clients heard, and what each provider was asked."""
    trace = script(seconds)
    begins_at = await _beginning(folder, trace.providers[0].name)
    heard = await Audience(folder / "d.sock", begins_at).play(requests(trace, seed), seconds + _AFTERWARDS_S)
    return heard, {one.name: (await _record(folder, one.name)).asked for one in trace.providers}


async def _beginning(folder: Path, name: str) -> float:
    """Return when the daemon sent its first canary, which is when the story begins."""
    with anyio.move_on_after(_CANARIES_S):
        while (begins_at := (await _record(folder, name)).begins_at) is None:  # noqa: ASYNC110 - it happens in another process
            await anyio.sleep(0.001)
        return begins_at
    raise BenchmarkError(f"the daemon sent no canary within {_CANARIES_S:g} s")


async def _record(folder: Path, name: str) -> Record:
    """Return what the provider `name` tells of the story."""
    wires = Wires()
    provider = Provider(name=name, dialect=Dialect.OPENAI, base_url=f"unix://{folder}/{name}.sock", models=())
    try:
        reply = await wires.open(provider, UpstreamRequest(method="GET", path="/story"))
        return msgspec.json.decode(await reply.read_all(64 * 1024 * 1024), type=Record)
    finally:
        await wires.aclose()


if __name__ == "__main__":
    sys.exit(main())
