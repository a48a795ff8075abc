"""What the service says to systemd: the notification protocol of sd_notify(3), and nothing where nobody listens.

Our own few lines over the standard library: `sdnotify` and `systemd-python` have no wheels, `cysystemd` bundles
libsystemd.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

__all__ = ["Notifier"]


class Notifier:
    """The datagram socket that `$NOTIFY_SOCKET` names."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Find the socket's address in `environ`; without one every message goes nowhere."""
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = _watchdog_s(environ)
        """How often systemd wants to hear a sign of life, in seconds; None where it does not."""

    def ready(self, status: str) -> None:
        """Say that the daemon serves."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Say that a new configuration is being read; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str) -> None:
        """Say that the daemon ends."""
        self._send(f"STOPPING=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """Show a line in `systemctl status`."""
        self._send(f"STATUS={status}")

    def alive(self) -> None:
        """Give the watchdog its sign of life."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            try:
                sender.sendto(text.encode(), self._address)
            except OSError:
                return  # systemd that does not listen is no reason to stop routing


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    try:
        period = int(environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or period <= 0:
        return None
    return period / 1e6
