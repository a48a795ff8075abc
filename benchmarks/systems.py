"""What is measured: fairlead as its users start it, and haproxy doing the same work in front of the same provider."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import BenchmarkError, Cores, Process, free_port, until

__all__ = ["AS_INSTALLED", "FAIRLEAD", "Fairlead", "fairlead", "haproxy", "haproxy_installed"]

FAIRLEAD = Path(sys.executable).parent / "fairlead"
"""The command that the project's own environment installed."""
AS_INSTALLED = (
    sys.executable,
    "-c",
    "import sys; sys.modules['rich'] = None; from daemon.cli.main import main; sys.exit(main())",
)
"""The same without what only developers have: structlog imports rich where it finds it, which takes 3 MB."""

_CONFIG = """\
version = 1

[providers.up]
dialect = "openai"
base_url = "http://127.0.0.1:{upstream}/v1"
models = ["gpt-4o-mini", "gpt-4o-mini-paced"]
max_in_flight = 1024
probe = {{ kind = "none" }}

[workloads.bench]
targets = ["up/gpt-4o-mini"]
default = true
"""

_HAPROXY = """\
global
  nbthread 1
defaults
  mode http
  option http-no-delay
  timeout connect 3s
  timeout client 30s
  timeout server 30s
frontend clients
  bind 127.0.0.1:{port}
  default_backend providers
backend providers
  http-reuse always
  server up 127.0.0.1:{upstream}
"""
# http-no-delay: without it haproxy gathers the chunks of a stream, and a first token waits for 90 ms.


class Fairlead(NamedTuple):
    """A daemon that answers."""

    process: Process
    port: int
    socket: Path
    start_s: float
    """From starting the process to its first 200 at /readyz."""


@contextlib.contextmanager
def fairlead(folder: Path, upstream: int, cores: Cores, wrapped: tuple[str, ...] = ()) -> Iterator[Fairlead]:
    """Run the daemon in `folder`, in front of the provider at the port `upstream`.

    `wrapped` is a command that runs the daemon's, such as a profiler.
    """
    config = folder / "fairlead.toml"
    config.write_text(_CONFIG.format(upstream=upstream), encoding="ascii")
    port, socket = free_port(), folder / "fairlead.sock"
    places: list[str | Path] = [
        "--socket",
        socket,
        "--listen",
        f"127.0.0.1:{port}",
        "--history",
        folder / "history.sqlite",
    ]
    command = [*wrapped, FAIRLEAD, "serve", "--config", config, *places]
    with Process(command, folder / "fairlead.log", cores.system) as process:
        yield Fairlead(process, port, socket, until(process, socket, "/readyz"))


def haproxy_installed() -> bool:
    """Return whether there is a haproxy to compare with; distributions hide it from users in /usr/sbin."""
    return _haproxy() is not None


def _haproxy() -> str | None:
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def haproxy(folder: Path, upstream: int, cores: Cores) -> Iterator[tuple[Process, int]]:
    """Run haproxy with one thread in front of the provider; yield its process and its port."""
    port, config = free_port(), folder / "haproxy.cfg"
    config.write_text(_HAPROXY.format(port=port, upstream=upstream), encoding="ascii")
    with Process([_haproxy() or "haproxy", "-db", "-f", config], folder / "haproxy.log", cores.system) as process:
        time.sleep(0.3)
        if not process.running:
            raise BenchmarkError(f"haproxy did not start; it said:\n{process.last_words()}")
        yield process, port
