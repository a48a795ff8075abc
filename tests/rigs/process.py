"""The real daemon as a process of its own, for the tests that treat it as an outsider would."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_START_S = 20.0


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        """Connect to `path` when first used."""
        super().__init__("localhost", timeout=30)
        self._path = str(path)

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Daemon:
    """`fairlead serve` in a folder: its socket, its history, its log."""

    def __init__(self, folder: Path, config: str | None, *words: str) -> None:
        """Prepare a daemon with the configuration `config`, or with `words` alone where that is None."""
        self.folder = folder
        self.socket = folder / "d.sock"
        self.history = folder / "history.sqlite"
        self.log = folder / "daemon.log"
        self.config = folder / "fairlead.toml"
        self._words = words
        if config is not None:
            self.config.write_text(config)
            self._words = ("--config", str(self.config), *words)
        self.environment: dict[str, str] = {}
        """What it is told besides our own environment."""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Daemon:
        """Start the process and return once it is ready."""
        self.spawn()
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("GET", "/healthz").status == 200:
                    return self
            os.sched_yield()
        raise AssertionError(f"the daemon did not start: {self.log.read_text()}")

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process without waiting for anything."""
        command = [sys.executable, "-m", "daemon.cli.main", "serve", *self._words]
        command += ["--socket", str(self.socket), "--history", str(self.history)]
        with self.log.open("ab") as log:
            environment = {**os.environ, **self.environment}
            self.process = subprocess.Popen(  # noqa: S603 - the tests name the command
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        return self.process

    def ask(self, method: str, url: str, body: object = None, headers: dict[str, str] | None = None) -> Answer:
        """Make one request over the Unix socket; a body that is not bytes is sent as JSON."""
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        with contextlib.closing(UnixConnection(self.socket)) as connection:
            connection.request(method, url, raw, {"content-type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())

    def chat(self, model: str, **more: object) -> Answer:
        """Ask for one chat completion."""
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}], **more}
        return self.ask("POST", "/v1/chat/completions", body)

    def target(self, name: str) -> dict[str, Any]:
        """Return one target as `status` shows it."""
        return self.ask("GET", f"/fairlead/v1/targets/{name}").json()

    def kill(self) -> None:
        """End the process as the kernel's memory killer would."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End the process as systemd would and return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextlib.contextmanager
def running(folder: Path, config: str | None, *words: str) -> Iterator[Daemon]:
    """Give a started daemon, and end it whatever happens."""
    daemon = Daemon(folder, config, *words)
    try:
        yield daemon.start()
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.stop()


def simulate(daemon: Daemon, provider: str, model: str, **behaviour: object) -> None:
    """Change how a simulated model of the daemon's behaves."""
    with contextlib.closing(UnixConnection(daemon.folder / f"simulated-{provider}.sock")) as connection:
        connection.request("PUT", f"/simulated/models/{model}", json.dumps(behaviour))
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()


LAB = """
version = 1

[providers.one]
dialect = "simulated"
models = ["m"]

[providers.two]
dialect = "simulated"
models = ["m"]

[health]
cooldown = { base = "30s", max = "60s" }

[workloads.chat]
targets = ["one/m", "two/m"]
strategy = "priority"
default = true
"""
"""Two simulated providers behind a workload that prefers the first; a cooldown outlasts any test."""
