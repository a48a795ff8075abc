"""Attacks on the real daemon, one after the other, beside ordinary requests that must not notice: `make siege`.

Quiet and attacked phases take turns, so that a slow moment of the machine hits both; the figures are medians of rounds.
The attackers have a process of their own, with less claim to the CPU. Loopback only; each phase is bounded in time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.processes import BenchmarkError, Cores, Process, free_port, until
from benchmarks.siege.attacks import ATTACKS
from benchmarks.siege.visitors import Visits, visit
from benchmarks.systems import FAIRLEAD

__all__ = ["main"]

_RATIO: Final = 2.0
"""p99 under attack, in terms of p99 when it is quiet."""
_MEMORY_MB: Final = 400
"""60 at rest, 256 of bodies, as much of one as its join needs, and what the allocator keeps."""
_RAMP_S: Final = 2.5
_PRIORITY: Final = -15
_CONFIG: Final = """\
version = 1

[providers.lab]
dialect = "openai"
base_url = "http://127.0.0.1:{port}/v1"
models = ["m"]
probe = {{ kind = "none" }}

[providers.prey]
dialect = "openai"
base_url = "http://127.0.0.1:{port}/v1"
models = ["m", "long"]
probe = {{ kind = "none" }}

[workloads.lab]
targets = ["lab/m"]
default = true

[workloads.prey]
targets = ["prey/m", "prey/long"]
"""
_MODELS: Final = ("m:latency=1ms,spread=0,tokens=4,tps=100000", "long:latency=1ms,tokens=3000,tps=1000000")


class Phase(msgspec.Struct):
    """What one attack did, over all rounds."""

    quiet: dict[str, list[float]]
    attacked: dict[str, list[float]]
    memory_mb: float = 0.0
    failures: list[str] = msgspec.field(default_factory=list)
    got: dict[str, int] = msgspec.field(default_factory=dict)

    def p99(self, door: str) -> tuple[float, float]:
        """Return the medians of p99 at `door`, quiet and attacked, in milliseconds."""
        return statistics.median(self.quiet[door]), statistics.median(self.attacked[door])

    @property
    def worst(self) -> float:
        """The ratio at the door that has it worse."""
        return max(attacked / quiet for quiet, attacked in map(self.p99, self.quiet))

    @property
    def holds(self) -> bool:
        """Whether every bound was kept."""
        smuggled = any("TWICE" in outcome for outcome in self.got)
        return self.worst <= _RATIO and self.memory_mb <= _MEMORY_MB and not self.failures and not smuggled


class Siege:
    """The daemon under siege."""

    def __init__(self, folder: Path, cores: Cores, seconds: float) -> None:
        """Prepare its files in `folder`."""
        self._folder = folder
        self._cores = cores
        self._seconds = seconds
        self._socket = folder / "d.sock"
        self._port = free_port()
        config = folder / "fairlead.toml"
        provider = free_port()
        config.write_text(_CONFIG.format(port=provider), encoding="ascii")
        models = [word for model in _MODELS for word in ("--model", model)]
        simulated = [sys.executable, "-m", "probes.simulated", "--listen", f"127.0.0.1:{provider}", *models]
        self.provider = Process(simulated, folder / "provider.log", cores.rest)
        places = ["--socket", self._socket, "--listen", f"127.0.0.1:{self._port}", "--history", folder / "h.sqlite"]
        self.process = Process([FAIRLEAD, "serve", "--config", config, *places], folder / "log", cores.system)

    def begin(self) -> None:
        """Wait until it and its provider answer."""
        until(self.process, self._socket, "/healthz")
        self.provider.wait_for("listening on")
        visit(self._socket, self._port, 2)

    def quiet(self) -> dict[str, Visits]:
        """Let visitors ask in peace."""
        return visit(self._socket, self._port, self._seconds / 2)

    def attacked(self, name: str) -> tuple[dict[str, Visits], dict[str, int], float]:
        """Let visitors ask while the attack `name` goes on; return that, what attackers got, the most memory, in MB."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")
        log = self._folder / f"{name}.json"
        log.unlink(missing_ok=True)
        words = [name, str(self._seconds + _RAMP_S + 0.5), str(self._port), str(self._socket)]
        with Process([sys.executable, "-m", "benchmarks.siege.attacker", *words], log, self._cores.rest) as attacker:
            time.sleep(_RAMP_S)
            visits = visit(self._socket, self._port, self._seconds)
            attacker.wait(60)
        try:
            got = json.loads(log.read_bytes().splitlines()[-1])
        except (ValueError, IndexError) as error:
            raise BenchmarkError(f"the attacker said: {attacker.last_words()}") from error
        return visits, got, self.process.memory_mb()["VmHWM"]

    def healed(self) -> None:
        """Wait until what the attack left is gone."""
        time.sleep(1.0)
        if not self.process.running:
            raise BenchmarkError(f"the daemon ended; it said:\n{self.process.last_words()}")


def _round(siege: Siege, name: str, phase: Phase) -> None:
    quiet = siege.quiet()
    attacked, got, memory_mb = siege.attacked(name)
    siege.healed()
    for door in quiet:
        phase.quiet[door].append(quiet[door].percentile_ms(0.99))
        phase.attacked[door].append(attacked[door].percentile_ms(0.99))
        phase.failures += [f"{door}: {failure}" for failure in quiet[door].failures + attacked[door].failures]
    phase.memory_mb = max(phase.memory_mb, memory_mb)
    for outcome, count in got.items():
        phase.got[outcome] = phase.got.get(outcome, 0) + count


def _print(name: str, phase: Phase) -> None:
    columns = [f"{quiet:>7.1f}{attacked:>8.1f}" for quiet, attacked in map(phase.p99, ("tcp", "unix"))]
    mark = "ok" if phase.holds else "SHORT"
    got = ", ".join(f"{count} {outcome}" for outcome, count in sorted(phase.got.items(), key=lambda one: -one[1])[:6])
    title = ATTACKS[name].title
    print(f"  {mark:<6}{title:<37}{''.join(columns)}{phase.worst:>7.2f}{phase.memory_mb:>7.0f}  {got}", flush=True)
    for failure in phase.failures[:3]:
        print(f"        a visitor failed, one of {len(phase.failures)}: {failure}")


def _step_forward() -> None:
    """Have the daemon and its visitors go before whatever else the machine does, where that is permitted."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    except PermissionError:
        print("not permitted to go before other programs (root may): the figures are those of a shared machine")


def main() -> int:
    """Run, print the table, and return 0 where every bound was kept, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.siege", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each attack has its turn (3)")
    parser.add_argument("--seconds", type=float, default=6, help="how long visitors ask under each attack (6)")
    parser.add_argument("attacks", nargs="*", choices=[[], *ATTACKS], help="only these")
    asked = parser.parse_args()
    names = asked.attacks or list(ATTACKS)
    _step_forward()
    phases = {name: Phase({"tcp": [], "unix": []}, {"tcp": [], "unix": []}) for name in names}
    print(f"  {'':<6}{'':<37}{'TCP p99 ms':>15}{'socket p99 ms':>15}{'':>7}{'MB':>7}")
    print(
        f"  {'':<6}{'attack':<37}{'quiet':>7}{'under':>8}{'quiet':>7}{'under':>8}{'ratio':>7}{'most':>7}  attackers got"
    )
    try:
        with tempfile.TemporaryDirectory(prefix="fairlead-siege-") as folder:
            siege = Siege(Path(folder), Cores.split(), asked.seconds)
            with siege.provider, siege.process:
                siege.begin()
                for name in names:
                    for _ in range(asked.rounds):
                        _round(siege, name, phases[name])
                    _print(name, phases[name])
    except BenchmarkError as error:
        print(f"siege: {error}", file=sys.stderr)
        return 1
    short = [name for name, phase in phases.items() if not phase.holds]
    print(f"bounds broken under: {', '.join(short)}" if short else "every bound holds")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
