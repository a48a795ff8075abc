"""The journal's native protocol: an entry is a datagram of fields, and a big one a sealed file in memory.

As https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ has it. Nothing here blocks: whoever sends is told how it went.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import re
import socket
import struct
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

__all__ = ["SOCKET", "Delivery", "JournalSocket", "encode", "field_name", "is_journal", "prefixed"]

SOCKET: Final = "/run/systemd/journal/socket"
"""Of a service with LogNamespace= too: systemd mounts its own journal's folder there."""
_LONGEST_NAME: Final = 64
"""journald drops fields with longer names (journal_field_valid)."""
_UNNAMEABLE: Final = re.compile(r"[^A-Z0-9_]")
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
"""journald maps only a file that nobody can change any more."""
_TOO_BIG: Final = frozenset({errno.EMSGSIZE, errno.ENOBUFS})
_BUSY: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK})


class Delivery(Enum):
    """How sending an entry went."""

    DONE = "done"
    LATER = "later"
    """The journal has not read yet what came before."""
    AWAY = "away"
    """Nobody reads at that address."""


def field_name(name: str) -> str:
    """Return `name` as journald takes it: capitals, digits and underscores, beginning with a letter."""
    fit = _UNNAMEABLE.sub("_", name.upper()).lstrip("_0123456789")
    return fit[:_LONGEST_NAME] or "UNNAMED"


def encode(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return an entry's bytes. Names are valid ones; the same name may come several times, and each value is kept."""
    return b"".join(_field(name.encode("ascii"), value.encode("utf-8", "backslashreplace")) for name, value in fields)


def is_journal(environ: Mapping[str, str], descriptor: int) -> bool:
    """Return whether `descriptor` leads to the journal, by `$JOURNAL_STREAM`: a redirected one does not."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def prefixed(text: str, priority: int) -> str:
    """Return `text` with a priority (0 to 7) before each line, as journald reads it from standard error."""
    return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))


class JournalSocket:
    """Sends entries to the socket at `address`, which may come and go: each entry is a datagram of its own."""

    def __init__(self, address: str = SOCKET) -> None:
        """Send to `address`; nothing is looked for until then."""
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def send(self, entry: bytes) -> Delivery:
        """Send an encoded entry, and return how that went."""
        try:
            self._socket.sendto(entry, self._address)
        except OSError as error:
            return self._send_big(entry) if error.errno in _TOO_BIG else _went(error)
        return Delivery.DONE

    def be_patient(self, seconds: float) -> None:
        """From now on let an entry wait for so long where the journal is busy: for the end, when no loop is there."""
        whole = int(seconds)
        self._socket.setblocking(True)  # noqa: FBT003 - the standard library's own parameter
        patience = struct.pack("ll", whole, int((seconds - whole) * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)

    def close(self) -> None:
        """Send nothing more."""
        self._socket.close()

    def _send_big(self, entry: bytes) -> Delivery:
        try:
            descriptor = _sealed(entry)
        except OSError:  # no memory for it
            return Delivery.AWAY
        try:
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
            self._socket.sendmsg([], [rights], 0, self._address)
        except OSError as error:
            return _went(error)
        finally:
            os.close(descriptor)
        return Delivery.DONE


def _field(name: bytes, value: bytes) -> bytes:
    if b"\n" in value:
        return b"%b\n%b%b\n" % (name, struct.pack("<Q", len(value)), value)
    return b"%b=%b\n" % (name, value)


def _went(error: OSError) -> Delivery:
    return Delivery.LATER if error.errno in _BUSY else Delivery.AWAY


def _sealed(entry: bytes) -> int:
    """Return the descriptor of a file in memory that holds `entry` and cannot change. Raises OSError."""
    descriptor = os.memfd_create("fairlead-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(entry)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
