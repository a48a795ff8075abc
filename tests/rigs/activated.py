"""What systemd does before it starts an activated service, without systemd: listening sockets from descriptor 3 on."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["handed", "tcp_listener", "unix_listener"]

_HAND_OVER = """
import os, sys
count, names, *command = sys.argv[1:]
spare = [os.dup2(int(fd), 100 + place) for place, fd in enumerate(os.environ.pop("HANDED").split(",")) if fd]
for place, fd in enumerate(spare):
    os.dup2(fd, 3 + place)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=count)
if names:
    os.environ["LISTEN_FDNAMES"] = names
os.execv(sys.executable, [sys.executable, *command])
"""


def unix_listener(path: Path) -> socket.socket:
    """Return a listening Unix socket."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def tcp_listener(host: str = "127.0.0.1") -> socket.socket:
    """Return a listening TCP socket at a free port."""
    listener = socket.socket(socket.AF_INET)
    listener.bind((host, 0))
    listener.listen()
    return listener


def handed(
    sockets: Sequence[socket.socket], names: str, command: Sequence[str], output: int | None = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    """Start Python with `command`, and `sockets` handed over under `names` (`a:b`; empty: without names)."""
    descriptors = [listener.fileno() for listener in sockets]
    return subprocess.Popen(  # noqa: S603 - the tests name the command
        [sys.executable, "-c", _HAND_OVER, str(len(sockets)), names, *command],
        env={"PATH": "", "PYTHONPATH": ":".join(sys.path), "HANDED": ",".join(map(str, descriptors))},
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )
