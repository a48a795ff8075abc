"""HTTP over a Unix socket with the standard library alone, for what must start fast."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

__all__ = ["UnixConnection"]


class UnixConnection(http.client.HTTPConnection):
    """A connection to the server at a socket's path; `timeout_s` bounds each wait, in seconds."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        """Connect to `path` when first used."""
        super().__init__("localhost", timeout=timeout_s)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the Unix socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
