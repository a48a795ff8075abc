"""Programs that a benchmark starts, measures by their process id, and ends itself."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

__all__ = ["BenchmarkError", "Cores", "Process", "UnixConnection", "exchange", "free_port", "until"]


class BenchmarkError(Exception):
    """A benchmark could not be run at all, as opposed to a figure that falls short."""


class Cores(NamedTuple):
    """Which processors the system under test and everything around it run on; both empty: wherever they like."""

    system: frozenset[int]
    rest: frozenset[int]

    @classmethod
    def split(cls) -> Self:
        """Return one processor for the system and the others for the rest, nothing where there is only one."""
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) == 1:
            return cls(frozenset(), frozenset())
        return cls(frozenset(usable[:1]), frozenset(usable[1:]))


class Process:
    """One program, running from the start of a `with` to its end. `log` receives what it prints."""

    def __init__(self, command: Sequence[str | Path], log: Path, cores: frozenset[int] = frozenset()) -> None:
        """Start the program, on `cores` where some are given."""
        self.command = [str(word) for word in command]
        self.log = log
        self.started_at = time.monotonic()
        with log.open("ab") as sink, _on(cores):
            self._popen = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)

    def __enter__(self) -> Self:
        """Keep it running."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def cpu_s(self) -> float:
        """Return the seconds of CPU that all its threads used, to the nanosecond.

        The same sum as utime and stime in /proc/PID/stat, whose clock ticks of 10 ms are too coarse here; the number
        of the clock is that of clock_getcpuclockid(3).
        """
        return time.clock_gettime(~self.pid << 3 | 2)

    def memory_mb(self) -> Mapping[str, float]:
        """Return its resident memory now (`VmRSS`) and at its highest (`VmHWM`), in MB of 1024 * 1024 bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return {name: round(int(fields[name].split()[0]) / 1024, 1) for name in ("VmRSS", "VmHWM")}

    def wait_for(self, words: str, seconds: float = 10) -> str:
        """Wait until it has printed a line with `words` and return that line from there on.

        Raises BenchmarkError where it ends before, or takes longer than `seconds`.
        """
        while not (found := re.search(rf"{words}.*\n", self.log.read_text(encoding="utf-8", errors="replace"))):
            if not self.running or time.monotonic() - self.started_at > seconds:
                raise BenchmarkError(f"{' '.join(self.command)} never said {words!r}, but:\n{self.last_words()}")
            time.sleep(0.001)
        return found[0]

    def stop(self) -> None:
        """End it as systemd would: SIGTERM, ten seconds, SIGKILL."""
        if not self.running:
            return
        self._popen.terminate()
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def wait(self, seconds: float) -> int:
        """Wait until it ends by itself and return its exit code. Raises BenchmarkError after `seconds`."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise BenchmarkError(f"{self.command[0]} did not end within {seconds:.0f} s") from error

    def kill(self) -> None:
        """End it at once, with nothing said: `kill -9`."""
        os.kill(self.pid, signal.SIGKILL)
        self._popen.wait()

    def last_words(self) -> str:
        """Return the end of what it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-1500:]


@contextlib.contextmanager
def _on(cores: frozenset[int]) -> Iterator[None]:
    """Let what is started meanwhile inherit `cores`."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the Unix socket at a path."""

    def __init__(self, path: Path) -> None:
        """Connect when first used."""
        super().__init__("localhost", timeout=10)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def exchange(path: Path, method: str, url: str, body: bytes | None = None) -> int | None:
    """Send one request to the HTTP server on the socket `path`; return the status, None where nobody answers."""
    connection = UnixConnection(path)
    try:
        connection.request(method, url, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return None
    else:
        return answer.status
    finally:
        connection.close()


def until(process: Process, path: Path, url: str, seconds: float = 10) -> float:
    """Wait until `process` answers 200 at `url` on the socket `path`; return the seconds since it was started.

    Raises BenchmarkError where it ends before, or takes longer than `seconds`.
    """
    while exchange(path, "GET", url) != http.HTTPStatus.OK:
        if not process.running or time.monotonic() - process.started_at > seconds:
            raise BenchmarkError(f"{' '.join(process.command)} did not answer {url}; it said:\n{process.last_words()}")
        time.sleep(0.001)
    return time.monotonic() - process.started_at
