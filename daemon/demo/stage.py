"""The demo's stage: a daemon in a process of its own, in a folder of its own, spoken to over its real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from daemon.unix_http import UnixConnection
from state.errors import FairleadError

__all__ = ["Heard", "Stage", "StageError"]

_START_S = 10.0
_PATIENCE_S = 30.0
_POLL_S = 0.02


class StageError(FairleadError):
    """The demo's daemon did not do what the demo needs."""


class Heard(msgspec.Struct, frozen=True):
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    latency_s: float

    @property
    def served_by(self) -> str:
        """The target that answered."""
        return self.headers.get("fairlead-target", "nobody")


class Stage:
    """A daemon with simulated providers. Its process ends with the context, unless it is let go."""

    def __init__(self) -> None:
        """Choose a fresh folder."""
        self.folder = Path(tempfile.mkdtemp(prefix="fairlead-demo-"))
        self.socket = self.folder / "fairlead.sock"
        self.history = self.folder / "history.sqlite"
        self.started_in_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the daemon and wait until it is ready."""
        began = time.monotonic()
        with (self.folder / "daemon.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                self.command("serve", "--demo", "--history", str(self.history)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() - began > _START_S:
                tail = (self.folder / "daemon.log").read_text(errors="replace")[-2000:]
                self._end()
                raise StageError(f"the demo's daemon did not start; its log {self.folder / 'daemon.log'} ends:\n{tail}")
            time.sleep(_POLL_S)
        self.started_in_s = time.monotonic() - began
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the daemon as systemd would: SIGTERM, then a wait."""
        self._end()

    def let_go(self) -> int:
        """Leave the daemon running and return its process id."""
        process, self._process = self._process, None
        if process is None:
            raise StageError("there is no daemon to leave running")
        process.returncode = 0  # it is nobody's child to wait for any more
        return process.pid

    def command(self, verb: str, *words: str) -> list[str]:
        """Return the command line of a verb against this daemon."""
        return [sys.executable, "-m", "daemon.cli.main", verb, *words, "--socket", str(self.socket)]

    def show(self, verb: str, *words: str) -> None:
        """Run a verb and let it print."""
        sys.stdout.flush()
        subprocess.run(self.command(verb, *words), check=False)  # noqa: S603 - our own command, no shell

    def ask(self, prompt: str) -> Heard:
        """Send one chat completion to the workload `demo`."""
        body = {"model": "demo", "messages": [{"role": "user", "content": prompt}]}
        return self._exchange(self.socket, "POST", "/v1/chat/completions", body)

    def simulate(self, model: str, **behaviour: Any) -> None:
        """Change how a simulated model behaves, on the simulation's own socket."""
        heard = self._exchange(self.folder / "simulated-lab.sock", "PUT", f"/simulated/models/{model}", behaviour)
        if heard.status != http.HTTPStatus.OK:
            raise StageError(f"the simulation refused {behaviour}: {heard.body.decode(errors='replace')}")

    def _ready(self) -> bool:
        try:
            return self._exchange(self.socket, "GET", "/readyz").status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    @staticmethod
    def _exchange(path: Path, method: str, url: str, body: object | None = None) -> Heard:
        began = time.monotonic()
        with contextlib.closing(UnixConnection(path, _PATIENCE_S)) as connection:
            connection.request(method, url, json.dumps(body) if body else None, {"content-type": "application/json"})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Heard(answer.status, headers, answer.read(), time.monotonic() - began)

    def _end(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        os.kill(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
