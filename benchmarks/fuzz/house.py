"""The real daemon as a process of its own, with secrets planted, and what is seen of it from outside."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from benchmarks.fuzz.engine import resident_mb
from benchmarks.fuzz.surface import SECRETS, secrets_in
from benchmarks.processes import BenchmarkError, Process, UnixConnection, free_port, until

__all__ = ["PEERS", "House", "Vitals"]

PEERS: Final = 40
"""Providers whose answers are made up; each is asked in turn, so that one that asks for a pause is out of the way."""

_CONFIG: Final = """\
version = 1

[daemon]
max_body = "1MiB"
drain_grace = "2s"

[keys.ada]
sha256 = "{digest}"
team = "search"
speaks = true

[providers.lab]
dialect = "simulated"
models = ["m", "n"]
max_in_flight = 512
probe = {{ kind = "none" }}
prices = {{ "*" = {{ input = 1.0, output = 2.0 }} }}

[providers.told]
dialect = "simulated"
models = ["m", "n"]
probe = {{ kind = "none" }}

[workloads.chat]
targets = ["lab/m", "lab/n"]
default = true
max_wait = "50ms"

[workloads.tiers]
strategy = "complexity"
tiers = {{ simple = ["lab/m"], complex = ["lab/n"] }}
max_wait = "50ms"

[workloads.tasks]
targets = ["lab/n"]
strategy = "task"
tasks = [{{ name = "tickets", system = "(?i)support agent", tool = "f", targets = ["lab/m"] }}]
max_wait = "50ms"

[workloads.steps]
targets = ["lab/m", "lab/n"]
strategy = "cascade"
cascade = {{ min_chars = 3, must_not_match = "(?i)as far as i know" }}
max_wait = "50ms"

[workloads.kept]
targets = ["lab/m"]
degraded = {{ mode = "cache", message = "Later." }}
require_human_review = true
max_input_tokens = 3000
max_wait = "50ms"

[limits.dear]
per = "user"
usd_per_day = 100000.0

[limits.quick]
per = "team"
requests_per_minute = 1000000
tokens_per_minute = 1000000000
concurrent = 4096

[alerts]
webhook = "http://127.0.0.1:{nobody}/{hook}"
every = "10m"

[history]
decisions_per_second = 5
"""
_PEER: Final = """
[providers.peer{number}g{generation}]
dialect = "{dialect}"
base_url = "unix://{socket}"
api_key = "${{env:FUZZ_KEY}}"
models = ["m"]
prices = {{ m = {{ input = 1.0, output = 2.0 }} }}
max_in_flight = 512
timeouts = {{ connect = "1s", first_byte = "300ms", idle = "300ms", total = "2s" }}
probe = {{ kind = "none" }}
health = {{ fall = 1000000, failure_ratio = 1.0, min_samples = 1000000 }}
"""
_UNSETTLED: Final = (
    "SELECT count(*) FROM reservation WHERE usd > 0 AND NOT EXISTS (SELECT 1 FROM attempt "
    "WHERE attempt.request_id = reservation.request_id AND attempt.number = reservation.number)"
)
_EXPECTED: Final = "alert_not_delivered"
"""Nobody listens at the webhook."""
_QUICK: Final = {"latency_ms": 0, "tokens_per_second": 100000, "tokens": 3}


class Vitals(NamedTuple):
    """What is seen of the daemon from outside."""

    resident_mb: float
    descriptors: int
    threads: int


class House:
    """The daemon, in a folder of its own; it ends with the `with`."""

    def __init__(self, folder: Path) -> None:
        """Write the configuration; `open` starts the daemon."""
        self.folder = folder
        self.socket = folder / "d.sock"
        self.peer_socket = folder / "peer.sock"
        self.port = free_port()
        self.log = folder / "daemon.log"
        self.generation = 0
        self._nobody = free_port()
        self._process: Process | None = None
        self._read = 0
        self._write_configuration()

    def __enter__(self) -> Self:
        """Start it."""
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End it."""
        if self._process is not None:
            self._process.stop()

    @property
    def process(self) -> Process:
        """The daemon's process. Raises BenchmarkError before it was opened."""
        if self._process is None:
            raise BenchmarkError("the daemon was never started")
        return self._process

    def open(self) -> None:
        """Start the daemon, anew where it has died, and make its models quick."""
        command = [sys.executable, "-m", "daemon.cli.main", "serve", "--config", str(self.folder / "fairlead.toml")]
        command += ["--socket", str(self.socket), "--history", str(self.folder / "history.sqlite")]
        command += ["--listen", f"127.0.0.1:{self.port}"]
        os.environ["FUZZ_KEY"] = SECRETS[0]
        self._process = Process(command, self.log)
        until(self._process, self.socket, "/healthz")
        for provider, model in (("lab", "m"), ("lab", "n"), ("told", "m"), ("told", "n")):
            self._told(self.folder / f"simulated-{provider}.sock", "PUT", f"/simulated/models/{model}", _QUICK)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask the daemon itself, and return the JSON of its answer."""
        return self._told(self.socket, method, path, body)

    def renewed(self) -> None:
        """Put providers of other names in force: no pause and no standing of the ones before holds.

        There are two sets of names, in turn: those that have gone are forgotten, but for their metrics.
        """
        self.generation = 1 - self.generation
        self._write_configuration()
        answer = self.ask("POST", "/fairlead/v1/reload")
        if not answer.get("ok"):
            raise BenchmarkError(f"the reload was refused: {answer}")

    def vitals(self) -> Vitals:
        """Return what is seen of it now."""
        root = Path(f"/proc/{self.process.pid}")
        return Vitals(
            resident_mb(self.process.pid), len(list((root / "fd").iterdir())), len(list((root / "task").iterdir()))
        )

    def unsettled(self) -> dict[str, float]:
        """Return what is still held for requests: all of it is nothing once none is under way."""
        status = self.ask("GET", "/fairlead/v1/status")
        rows = self.ask("POST", "/fairlead/v1/sql", {"query": _UNSETTLED})
        return {
            "in flight": sum(target["in_flight"] for target in status["targets"]),
            "waiting": sum(workload["waiting"] for workload in status["workloads"]),
            "dollars reserved": sum(each["reserved_usd"] for each in status["budgets"]),
            "reservations": rows["rows"][0][0],
        }

    def complaints(self) -> list[str]:
        """Return what stands in the log since the last time and should not: mistakes of ours, and planted secrets."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            told = log.read()
            self._read = log.tell()
        found = [f"the log holds the secret {each}" for each in secrets_in(told)]
        lines = told.decode("utf-8", "replace").splitlines()
        wrong = (line for line in lines if "Traceback" in line or '"level":"error"' in line)
        return found + [f"log: {line[-600:]}" for line in wrong if _EXPECTED not in line]

    def settled(self, seconds: float) -> Mapping[str, float]:
        """Wait until nothing is held for requests, and return what still is after `seconds`."""
        end = time.monotonic() + seconds
        while any(held := self.unsettled().values()) and time.monotonic() < end:
            time.sleep(0.1)
        return {} if not any(held) else self.unsettled()

    def _write_configuration(self) -> None:
        digest = hashlib.sha256(SECRETS[1].encode()).hexdigest()
        text = _CONFIG.format(digest=digest, nobody=self._nobody, hook=SECRETS[2])
        for number in range(PEERS):
            dialect = ("openai", "anthropic")[number % 2]
            text += _PEER.format(number=number, generation=self.generation, dialect=dialect, socket=self.peer_socket)
        (self.folder / "fairlead.toml").write_text(text, encoding="ascii")

    @staticmethod
    def _told(socket: Path, method: str, path: str, body: object) -> Any:
        with closing(UnixConnection(socket)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body))
            return json.loads(connection.getresponse().read())
