"""What the service says to systemd: the notification protocol of sd_notify(3), and nothing where nobody listens.

Our own few lines over the standard library: `sdnotify` and `systemd-python` have no wheels, `cysystemd` bundles
libsystemd. All comes from the main process, as `NotifyAccess=main` wants it, so that `MAINPID` is never needed.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from array import array
from collections import deque
from collections.abc import Mapping
from typing import Final

__all__ = ["Notifier"]

_MOST_BYTES: Final = 2000
"""systemd reads at most 4096 bytes of a datagram, and throws away what is longer."""
_FULL: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})
_BARRIER_S: Final = 1.0


class Notifier:
    """The datagram socket that `$NOTIFY_SOCKET` names. It never waits, but for `flush` at the very end."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Find the socket's address in `environ`; without one every message goes nowhere."""
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address.startswith(("/", "@")):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._owed: deque[str] = deque(maxlen=8)
        self._ends = False
        self.watchdog_s = _watchdog_s(environ)
        """How often systemd wants to hear a sign of life, in seconds; None where it does not."""

    def ready(self, status: str) -> None:
        """Say that the daemon serves: at the start, and at the end of each reload."""
        if not self._ends:
            self._insist("READY=1", _status(status))

    def reloading(self, status: str) -> None:
        """Say that a new configuration is being read; `ready` ends it."""
        if not self._ends:
            usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            self._insist("RELOADING=1", f"MONOTONIC_USEC={usec}", _status(status))

    def stopping(self, status: str) -> None:
        """Say that the daemon ends; whatever else begins or ends from now on, it is not ready any more."""
        self._ends = True
        self._insist("STOPPING=1", _status(status))

    def failed(self, status: str, number: int) -> None:
        """Say why the daemon cannot start, with an error number of errno(3), 0 for none."""
        self._insist(_status(status), *([f"ERRNO={number}"] if number else []))

    def status(self, status: str) -> None:
        """Show a line in `systemctl status`."""
        self._send(_status(status))

    def extend(self, seconds: float, status: str) -> None:
        """Ask for so much more time to start or to stop, counted from now, and say what it is needed for."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}", _status(status))

    def alive(self) -> None:
        """Give the watchdog its sign of life."""
        self._send("WATCHDOG=1")

    def give_up(self, status: str) -> None:
        """Have the watchdog act now, as if no sign of life had come (systemd 243 and newer; older ones wait for it)."""
        self._insist("WATCHDOG=trigger", _status(status))

    def flush(self) -> None:
        """Wait until systemd has read everything, for a second at most: who is gone is not asked who it was."""
        if self._socket is None:
            return
        reader, writer = os.pipe()
        try:
            held = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [writer]))]
            self._socket.sendmsg([b"BARRIER=1"], held, 0, self._address)
        except OSError:
            os.close(writer)
        else:
            os.close(writer)
            poll = select.poll()
            poll.register(reader, 0)  # its end hangs up once the other end's last holder, systemd, has closed it
            poll.poll(_BARRIER_S * 1000)
        os.close(reader)

    def close(self) -> None:
        """Say nothing more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _insist(self, *lines: str) -> None:
        """Send what must not be lost: where there is no room now, it goes before the next message."""
        if not self._pay() or not self._sent("\n".join(lines)):
            self._owed.append("\n".join(lines))

    def _send(self, *lines: str) -> None:
        """Send what the next message of its kind makes up for."""
        if self._pay():
            self._sent("\n".join(lines))

    def _pay(self) -> bool:
        while self._owed:
            if not self._sent(self._owed[0]):
                return False
            self._owed.popleft()
        return True

    def _sent(self, text: str) -> bool:
        """Send without waiting; False only where there is no room now."""
        if self._socket is None:
            return True
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError as error:
            return error.errno not in _FULL  # systemd that does not listen is no reason to stop routing
        return True


def _status(text: str) -> str:
    """Return the assignment of a status in one line, whatever is in it: a line break would begin another assignment."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return "STATUS=" + line.encode("utf-8", "replace")[:_MOST_BYTES].decode("utf-8", "ignore")


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    try:
        period = int(environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or period <= 0:
        return None
    return period / 1e6
