"""The sockets that the daemon listens at, bound early, so that a second daemon fails at once."""

from __future__ import annotations

from pathlib import Path
from socket import socket as Socket  # noqa: N812 - a class by a class's name

import msgspec

from daemon.doors.sockets import ListenError, listen_tcp, listen_unix, unlink_unix
from daemon.service.activation import NOTHING_PASSED, Inherited

__all__ = ["Listeners"]


class Listeners(msgspec.Struct, frozen=True):
    """The listening sockets."""

    unix: tuple[Socket, ...]
    tcp: tuple[Socket, ...]
    made: tuple[Path, int] | None
    """The Unix socket's file and its inode, where it is ours to remove; None where a socket unit owns it."""

    @property
    def path(self) -> str:
        """Where the first Unix socket is found."""
        return str(self.unix[0].getsockname())

    @property
    def addresses(self) -> list[str]:
        """The TCP addresses as bound, which matters where a port of 0 was asked for."""
        names = (listener.getsockname() for listener in self.tcp)
        return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port, *_ in names]

    @classmethod
    def bind(cls, path: Path, addresses: tuple[tuple[str, int], ...], passed: Inherited = NOTHING_PASSED) -> Listeners:
        """Bind everything or nothing, but for what was `passed`, which takes its place. Raises ListenError."""
        made = () if passed.unix else (listen_unix(path),)
        inode = path.lstat().st_ino if made else 0
        tcp = list(passed.tcp)
        try:
            tcp += [] if passed.tcp else [listen_tcp(host, port) for host, port in addresses]
        except ListenError:
            for opened in (*made, *tcp):
                opened.close()
            if made:
                unlink_unix(path, inode)
            raise
        return cls(passed.unix or made, tuple(tcp), (path, inode) if made else None)

    def close(self) -> None:
        """Listen no more, where nobody has come to serve them."""
        for listener in (*self.unix, *self.tcp):
            listener.close()
        self.remove_path()

    def remove_path(self) -> None:
        """Remove the socket's file where it is ours, unless it is another daemon's by now."""
        if self.made is not None:
            unlink_unix(*self.made)
