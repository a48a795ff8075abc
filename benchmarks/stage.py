"""A daemon in front of two providers, each a process of its own, so that any of them can be killed."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.processes import BenchmarkError, Process, free_port, until
from benchmarks.systems import AS_INSTALLED, FAIRLEAD

__all__ = ["WORKLOAD", "Stage"]

WORKLOAD = "pair"
"""The workload: its first target is the primary's, its second the secondary's."""

_MODEL = "steady"
_BEHAVIOUR = "latency=20ms,tps=400,tokens=40"

_CONFIG = """\
version = 1

[providers.primary]
dialect = "openai"
base_url = "http://127.0.0.1:{primary}/v1"
models = ["steady"]
probe = {{ kind = "liveness", every = "500ms", timeout = "250ms" }}

[providers.secondary]
dialect = "openai"
base_url = "http://127.0.0.1:{secondary}/v1"
models = ["steady", "spare"]
probe = {{ kind = "liveness", every = "500ms", timeout = "250ms" }}

[providers.dead]
dialect = "openai"
base_url = "http://127.0.0.1:{nobody}/v1"
models = ["gone"]
probe = {{ kind = "none" }}

[providers.dead.health]
cooldown = {{ base = "10m", max = "10m" }}

[workloads.pair]
targets = ["primary/steady", "secondary/steady"]
strategy = "priority"
default = true
"""


class Stage:
    """The daemon and its providers, in a folder of one run; all of them end with the `with`."""

    def __init__(self, folder: Path) -> None:
        """Choose ports and start the providers; the daemon is started by `start`."""
        self.folder = folder
        self.socket = folder / "fairlead.sock"
        self.history = folder / "history.sqlite"
        self._ports = {"primary": free_port(), "secondary": free_port()}
        self._processes: dict[str, Process] = {}
        config = _CONFIG.format(**self._ports, nobody=free_port())
        (folder / "fairlead.toml").write_text(config, encoding="ascii")

    def __enter__(self) -> Self:
        """Start both providers and wait until they listen."""
        for name in self._ports:
            self.start_provider(name)
        for process in list(self._processes.values()):
            process.wait_for("listening on")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End what still runs."""
        for process in self._processes.values():
            process.stop()

    @property
    def daemon(self) -> Process:
        """The daemon's process, running or not."""
        return self._processes["daemon"]

    def start_provider(self, name: str) -> None:
        """Start a provider, or start it again, at the port it always has."""
        listen = ["--listen", f"127.0.0.1:{self._ports[name]}"]
        models = [word for model in (_MODEL, "spare") for word in ("--model", f"{model}:{_BEHAVIOUR}")]
        command = [sys.executable, "-m", "probes.simulated", *listen, *models]
        self._processes[name] = Process(command, self.folder / f"{name}.log")

    def kill_provider(self, name: str) -> None:
        """End a provider with SIGKILL, in the middle of whatever it was sending."""
        self._processes[name].kill()

    def start_daemon(self) -> float:
        """Start the daemon and return the seconds until its first 200 at /readyz."""
        places: list[str | Path] = [
            "--socket",
            self.socket,
            "--listen",
            f"127.0.0.1:{free_port()}",
            "--history",
            self.history,
        ]
        command = [*AS_INSTALLED, "serve", "--config", self.folder / "fairlead.toml", *places]
        self._processes["daemon"] = Process(command, self.folder / "daemon.log")
        return until(self.daemon, self.socket, "/readyz")

    def told_by(self, *words: str) -> str:
        """Run a verb of the command line against the daemon and return what it printed.

        Raises BenchmarkError where it ends with a code above 1, which is `degraded`.
        """
        done = subprocess.run(
            [FAIRLEAD, *words, "--socket", self.socket], check=False, capture_output=True, text=True, timeout=10
        )
        if done.returncode > 1:
            raise BenchmarkError(f"fairlead {' '.join(words)} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def standings(self) -> dict[str, tuple[str, bool]]:
        """Return each target's standing, and whether it is drained, as `fairlead status --json` tells them."""
        status: dict[str, Any] = json.loads(self.told_by("status", "--json"))
        return {target["target"]: (target["standing"], target["drained"]) for target in status["targets"]}

    def rows(self, query: str, history: Path | None = None) -> list[tuple[Any, ...]]:
        """Return what the history answers to `query`, read-only."""
        with contextlib.closing(sqlite3.connect(f"file:{history or self.history}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()
