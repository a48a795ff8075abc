"""What stands for systemd where the daemon speaks to it: the datagram socket of `$NOTIFY_SOCKET`, and what it heard."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["ServiceManager", "listening"]

_PATIENCE_S = 20.0


class ServiceManager:
    """Hears messages, each a mapping of its assignments."""

    def __init__(self, path: Path) -> None:
        """Listen at `path`."""
        self.path = path
        self.heard: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def environment(self, watchdog_s: float | None = None) -> dict[str, str]:
        """Return what a service is told of its manager."""
        watchdog = {} if watchdog_s is None else {"WATCHDOG_USEC": str(round(watchdog_s * 1e6))}
        return {"NOTIFY_SOCKET": str(self.path), **watchdog}

    def take(self) -> list[dict[str, str]]:
        """Return what has come since it was last taken, without waiting."""
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's own
        before = len(self.heard)
        with suppress(BlockingIOError):
            while True:
                self._hear()
        return self.heard[before:]

    def until(self, name: str, part: str = "") -> dict[str, str]:
        """Wait for a message that assigns to `name` something with `part` in it, and return it."""
        self._socket.settimeout(_PATIENCE_S)
        while name not in (heard := self._hear()) or part not in heard[name]:
            pass
        return heard

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    def _hear(self) -> dict[str, str]:
        text, held, _, _ = socket.recv_fds(self._socket, 4096, 1)
        for descriptor in held:
            os.close(descriptor)  # a barrier's: whoever waits for it may go on
        self.heard.append(dict(line.split("=", 1) for line in text.decode().split("\n")))
        return self.heard[-1]


@contextmanager
def listening(folder: Path) -> Iterator[ServiceManager]:
    """Give a service manager that listens in `folder`."""
    manager = ServiceManager(folder / "notify")
    try:
        yield manager
    finally:
        manager.close()
