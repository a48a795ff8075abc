"""A daemon whose history lies on a small disk of its own, which tests fill, lock and make read-only."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.rigs.process import Daemon

__all__ = ["OnADisk", "why_not"]

_PATIENCE_S = 20.0
_ENTER = ("--user", "--preserve-credentials") if os.geteuid() else ()
_UNSHARE = ["unshare", *(("--user", "--map-root-user") if os.geteuid() else ()), "--mount", "--propagation", "private"]


def why_not() -> str:
    """Return why no mounts can be made here that nobody else sees; empty where they can."""
    if not all(map(shutil.which, ("unshare", "nsenter", "mount"))):
        return "there are no unshare, nsenter and mount here"
    done = subprocess.run(  # noqa: S603
        [*_UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True, text=True
    )
    return f"this user may not mount: {done.stderr.strip()}" if done.returncode else ""


class OnADisk(Daemon):
    """`fairlead serve` in a mount namespace: `disk` is a tmpfs of 4 MB that only it sees, mounted with `options`."""

    def __init__(self, folder: Path, config: str, options: str) -> None:
        """Prepare it."""
        super().__init__(folder, config)
        self.disk = folder / "disk"
        self.disk.mkdir()
        self.history = self.disk / "history.sqlite"
        self._options = options

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start it behind a mount of its own; the process is the daemon's."""
        mount = f'mount -t tmpfs -o size=4m,{self._options} tmpfs {self.disk} && exec "$@"'
        command = [*_UNSHARE, "sh", "-c", mount, "sh", sys.executable, "-m", "daemon.cli.main", "serve", *self._words]
        command += ["--socket", str(self.socket), "--history", str(self.history)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603
        return self.process

    def inside(self, script: str) -> str:
        """Run a line of shell where the daemon is, with the disk as its folder, and return what it prints."""
        done = subprocess.run(self._entering("sh", "-c", script), check=True, capture_output=True, text=True)  # noqa: S603
        return done.stdout

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let another process hold the file's exclusive lock."""
        code = "import sqlite3, sys; c = sqlite3.connect('history.sqlite', isolation_level=None, timeout=20)\n"
        code += "c.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.read()"
        command = self._entering(sys.executable, "-c", code)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:  # noqa: S603
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            yield
            other.send_signal(signal.SIGKILL)

    def status(self) -> dict[str, Any]:
        """Return what `status` shows."""
        told: dict[str, Any] = json.loads(self.ask("GET", "/fairlead/v1/status").body)
        return told

    def until(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Make requests, each of which must be served, until the history's part of the status is as it is wanted."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            assert self.chat("chat").status == 200
            self.served += 1
            status = self.status()
            if wanted(status["history"]):
                return status
        raise AssertionError(self.status()["history"])

    served = 0
    """Requests that were made."""

    def rows(self, sql: str) -> list[list[Any]]:
        """Return what the daemon finds in its history."""
        answer = self.ask("POST", "/fairlead/v1/sql", {"query": sql})
        assert answer.status == 200, answer.body
        found: list[list[Any]] = answer.json()["rows"]
        return found

    def _entering(self, *words: str) -> list[str]:
        assert self.process is not None
        return ["nsenter", "--target", str(self.process.pid), "--mount", *_ENTER, f"--wdns={self.disk}", *words]
