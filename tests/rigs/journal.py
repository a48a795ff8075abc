"""A stand-in for journald: a real datagram socket, and a decoder written from the protocol's page, not from ours."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

_SEALED = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL

Fields = list[tuple[str, bytes]]


def decoded(data: bytes) -> Fields:
    """Return the fields of an entry, in order: `NAME=value` lines, and names with a 64-bit little-endian size."""
    fields: Fields = []
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        name, equals, value = data[at:end].partition(b"=")
        at = end + 1
        if not equals:
            size = sum(byte << (8 * place) for place, byte in enumerate(data[at : at + 8]))
            value = data[at + 8 : at + 8 + size]
            at += 8 + size
            assert data[at : at + 1] == b"\n", "a binary field ends with a newline"
            at += 1
        fields.append((name.decode("ascii"), value))
    return fields


class StandIn:
    """Reads what was sent to `path`."""

    def __init__(self, path: Path) -> None:
        """Bind there."""
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))

    def entries(self) -> list[dict[str, list[str]]]:
        """Return every entry that has come, each with all values of each field."""
        return [_grouped(decoded(data)) for data in self.raw()]

    def raw(self) -> Iterator[bytes]:
        """Return the bytes of every entry that has come; those in a file have to be sealed."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data, rights, _, _ = self._socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
                yield data or _in_file(rights)

    def close(self) -> None:
        """Go away, as a journald that is stopped."""
        self._socket.close()
        self.path.unlink()


@contextlib.contextmanager
def stand_in(folder: Path) -> Iterator[StandIn]:
    """Give a journal's socket in `folder`."""
    journal = StandIn(folder / "journal")
    try:
        yield journal
    finally:
        with contextlib.suppress(FileNotFoundError):
            journal.close()


def _grouped(fields: Fields) -> dict[str, list[str]]:
    entry: dict[str, list[str]] = {}
    for name, value in fields:
        entry.setdefault(name, []).append(value.decode())
    return entry


def _in_file(rights: list[tuple[int, int, bytes]]) -> bytes:
    ((_, _, descriptors),) = rights
    (descriptor,) = array.array("i", descriptors)
    try:
        assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SEALED == _SEALED, "journald takes sealed files alone"
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)
