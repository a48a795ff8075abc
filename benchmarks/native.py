"""The two C programs of tools/: a load generator and a provider that costs almost nothing."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.processes import BenchmarkError, Cores, Process

__all__ = ["EVENTS_A_STREAM", "Answered", "Load", "Tools"]

EVENTS_A_STREAM = 51
"""50 chunks and [DONE]: tools/upstream.c."""

_SOURCES = Path(__file__).parent / "tools"


class Answered(msgspec.Struct, frozen=True):
    """What the load generator saw; times in microseconds. The names are those of tools/load.c."""

    n: int
    errors: int
    events: int
    elapsed_s: float
    rps: float
    latency_p50_us: float
    latency_p99_us: float
    first_byte_p50_us: float
    first_byte_p99_us: float
    reads: float


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the load generator."""

    where: int | Path
    """A port of 127.0.0.1, or a Unix socket."""
    model: str
    streamed: bool = False
    connections: int
    seconds: float


class Tools:
    """The compiled programs, in a folder of this run."""

    def __init__(self, folder: Path, cores: Cores) -> None:
        """Compile both. Raises BenchmarkError where there is no C compiler."""
        self._folder = folder
        self._cores = cores
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise BenchmarkError("the load generator is a C program: install a compiler (apt install gcc libc6-dev)")
        for name in ("load", "upstream"):
            source = _SOURCES / f"{name}.c"
            subprocess.run([compiler, "-O2", "-std=gnu11", "-o", folder / name, source], check=True)

    @contextlib.contextmanager
    def upstream(self, pace_ms: float = 5) -> Iterator[int]:
        """Run the provider and yield its port."""
        log = self._folder / "upstream.log"
        with Process([self._folder / "upstream", "--pace-ms", str(pace_ms)], log, self._cores.rest) as process:
            yield int(process.wait_for(r"\d+"))

    def answered(self, load: Load) -> Answered:
        """Send `load` and return what came back. Raises BenchmarkError where an answer was missing or not whole."""
        body = self._folder / "body.json"
        body.write_text(_body(load), encoding="ascii")
        where = ["--unix", load.where] if isinstance(load.where, Path) else ["--port", load.where]
        bounds = ["--connections", load.connections, "--seconds", load.seconds]
        command = [self._folder / "load", *where, *bounds, "--body", body]
        log = self._folder / "load.log"
        log.unlink(missing_ok=True)
        with Process([str(word) for word in command], log, self._cores.rest) as process:
            process.wait(load.seconds + 30)
        try:
            answered = msgspec.json.decode(log.read_bytes(), type=Answered)
        except msgspec.DecodeError as error:
            raise BenchmarkError(f"the load generator said: {process.last_words()}") from error
        if answered.errors or (load.streamed and answered.events != answered.n * EVENTS_A_STREAM):
            raise BenchmarkError(f"answers are missing or not whole, so nothing was measured: {answered}")
        return answered


def _body(load: Load) -> str:
    """Return a chat completion request of the size that a short conversation has, about 1 KB."""
    told = "You are the assistant of a small shop that sells rope and rigging. Be brief, be kind, and never guess. "
    asked = "Which line do I need for a mainsheet of a boat of nine metres, and what would it chafe on? "
    messages = [{"role": "system", "content": told * 4}, {"role": "user", "content": asked * 4}]
    body = {"model": load.model, "messages": messages, "temperature": 0.2, "max_tokens": 200}
    return json.dumps(body | ({"stream": True} if load.streamed else {}), separators=(",", ":"))
