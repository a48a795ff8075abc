"""Where the daemon listens: its Unix socket, taken over from the dead and never from the living, and loopback TCP."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Final

from state.errors import FairleadError

__all__ = ["BACKLOG", "ListenError", "listen_tcp", "listen_unix", "unlink_unix"]

BACKLOG: Final = 4096
"""Connections that may wait to be accepted, as in a socket unit; the kernel caps it at `net.core.somaxconn`."""
_MODE = 0o660
_MOST_PATH_BYTES = 107
"""`sun_path` holds 108 bytes with its closing zero."""


class ListenError(FairleadError):
    """An address that the daemon cannot listen at."""


def listen_unix(path: Path) -> socket.socket:
    """Return a listening socket at `path`, mode 0660, its folder made (0700) where it is missing.

    Raises ListenError where a live daemon answers there, where something else than a socket lies there, and where the
    path cannot be made. A socket that nobody answers is left from a killed daemon and is taken over.
    """
    if len(os.fsencode(path)) > _MOST_PATH_BYTES:
        raise ListenError(f"{path}: a Unix socket's path has at most {_MOST_PATH_BYTES} bytes; choose a shorter one.")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _insist_on_owner(path.parent)
        _clear(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
    except OSError as error:
        raise ListenError(f"{path}: cannot listen there: {error.strerror}. Choose another with --socket.") from error
    path.chmod(_MODE)
    listener.listen(BACKLOG)
    return listener


def unlink_unix(path: Path, inode: int) -> None:
    """Remove the socket's file, unless it is no longer the one that `inode` names: another daemon's, then."""
    try:
        if path.lstat().st_ino == inode:
            path.unlink()
    except FileNotFoundError:
        return


def listen_tcp(host: str, port: int) -> socket.socket:
    """Return a listening socket at a loopback address. Raises ListenError where it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        taken = "it is in use by another process" if error.errno == errno.EADDRINUSE else error.strerror
        raise ListenError(f"{host}:{port}: cannot listen there: {taken}. Choose another with --listen.") from error
    listener.listen(BACKLOG)
    return listener


def _insist_on_owner(folder: Path) -> None:
    """Refuse a folder of another user's, who could put a socket of theirs in our socket's place."""
    if folder.stat().st_uid not in {0, os.geteuid()}:
        raise ListenError(f"{folder}: belongs to another user; choose a folder of yours with --socket.")


def _clear(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"{path}: something that is not a socket lies there; move it, or choose another --socket.")
    if _answers(path):
        raise ListenError(f"{path}: a daemon answers there already; stop it, or choose another with --socket.")
    path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        knock.settimeout(1)
        try:
            knock.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
        return True
