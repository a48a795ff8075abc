"""The sockets that the daemon listens at, bound early, so that a second daemon fails at once."""

from __future__ import annotations

from pathlib import Path
from socket import socket as Socket  # noqa: N812 - a class by a class's name

import msgspec

from daemon.doors.sockets import ListenError, listen_tcp, listen_unix, unlink_unix

__all__ = ["Listeners"]


class Listeners(msgspec.Struct, frozen=True):
    """The bound sockets."""

    unix: Socket
    path: Path
    inode: int
    tcp: tuple[Socket, ...]

    @property
    def addresses(self) -> list[str]:
        """The TCP addresses as bound, which matters where a port of 0 was asked for."""
        return [f"{host}:{port}" for host, port, *_ in (listener.getsockname() for listener in self.tcp)]

    @classmethod
    def bind(cls, path: Path, addresses: tuple[tuple[str, int], ...]) -> Listeners:
        """Bind everything or nothing. Raises ListenError."""
        unix = listen_unix(path)
        inode = path.lstat().st_ino
        tcp: list[Socket] = []
        try:
            tcp += [listen_tcp(host, port) for host, port in addresses]
        except ListenError:
            for opened in (unix, *tcp):
                opened.close()
            unlink_unix(path, inode)
            raise
        return cls(unix, path, inode, tuple(tcp))

    def remove_path(self) -> None:
        """Remove the socket's file, unless it is another daemon's by now."""
        unlink_unix(self.path, self.inode)
