"""What systemd and people put into the environment and on the command line: notification, activation, places, sizes."""

from __future__ import annotations

import math
import os
import socket
import tempfile
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from benchmarks.fuzz.mutation import mixed, mutated_bytes, mutated_lines
from benchmarks.fuzz.surface import SECRETS, Broken, Surface, secrets_in
from daemon.config.access import parse_listen
from daemon.config.places import (
    client_history,
    client_socket,
    config_files,
    default_listen,
    history_file,
    server_socket,
)
from daemon.config.secrets import SecretProblem, resolve_secret
from daemon.doors.sockets import ListenError
from daemon.service import activation
from daemon.service.notify import Notifier
from state.durations import parse_duration
from state.history.following import parse_point
from state.sizes import parse_size

__all__ = ["ENVIRONMENT"]

_FIRST: Final = 200
"""Where the sockets are that are handed over in this process: 3 and the next are its own."""
_SEEDS: Final = (
    b"LISTEN_FDS=2\nLISTEN_FDNAMES=api:http\nLISTEN_PID=me\nNOTIFY_SOCKET=@fairlead-fuzz\nWATCHDOG_USEC=30000000",
    b"LISTEN_FDS=1\nLISTEN_PID=me\nNOTIFY_SOCKET=/nonexistent/notify\nWATCHDOG_PID=1\nWATCHDOG_USEC=1",
    b"LISTEN_FDS=3\nLISTEN_FDNAMES=api:http:unknown\nLISTEN_PID=me",
    b"STATE_DIRECTORY=/var/lib/fairlead:/x\nRUNTIME_DIRECTORY=/run/fairlead\nCREDENTIALS_DIRECTORY=/nonexistent",
    b"XDG_RUNTIME_DIR=/nonexistent\nXDG_STATE_HOME=relative\nHOME=\nXDG_CONFIG_HOME=~",
    b"FAIRLEAD_CONFIG=x.toml\nFAIRLEAD_SOCKET=x.sock\nFAIRLEAD_HISTORY=x.sqlite",
    *(b"key=${env:SECRET}\nkey=${file:/nonexistent}\nkey=${cred:name}\nkey=literal",),
    *(b"duration=1h30m\nduration=250ms\nsize=16MiB\nlisten=127.0.0.1:4180\nlisten=[::1]:0\npoint=0-0-0-0-0-0",),
)


@cache
def _handed() -> tuple[socket.socket, socket.socket, int]:
    """Return a Unix listener, a TCP listener and a file that is no socket."""
    unix, tcp = socket.socket(socket.AF_UNIX), socket.socket()
    unix.bind(f"\0fairlead-fuzz-{os.getpid()}")
    tcp.bind(("127.0.0.1", 0))
    for each in (unix, tcp):
        each.listen()
    return unix, tcp, os.open(tempfile.gettempdir(), os.O_RDONLY)


@contextmanager
def _handed_over() -> Iterator[None]:
    unix, tcp, other = _handed()
    first, activation._FIRST = activation._FIRST, _FIRST  # noqa: SLF001 - the descriptors from 3 on are ours
    for place, descriptor in enumerate((unix.fileno(), tcp.fileno(), other)):
        os.dup2(descriptor, _FIRST + place)
    try:
        yield
    finally:
        activation._FIRST = first  # noqa: SLF001
        os.closerange(_FIRST, _FIRST + 3)


def _take(data: bytes) -> Hashable:
    lines = [line.partition("=") for line in data.decode("utf-8", "surrogateescape").split("\n")]
    environ = {name.replace("\0", ""): value.replace("\0", "") for name, _, value in lines if name}
    environ["SECRET"] = SECRETS[0]
    if environ.get("LISTEN_PID") == "me":
        environ["LISTEN_PID"] = str(os.getpid())
    words = tuple(_word(name, value.replace("\0", "")) for name, _, value in lines[:8])
    return (_activated(environ), _placed(environ), _notified(environ), *words)


def _activated(environ: dict[str, str]) -> Hashable:
    with _handed_over():
        try:
            found = activation.inherited(environ)
        except ListenError as error:
            return str(error)[:20]
        for each in (*found.unix, *found.tcp):
            each.detach()
        return (len(found.unix), len(found.tcp))


def _placed(environ: dict[str, str]) -> Hashable:
    for path in (
        *config_files(None, environ, 1000),
        server_socket(None, environ, 1000),
        client_socket(None, environ, 1000),
        history_file(None, environ),
        client_history(None, environ),
    ):
        if not isinstance(path, Path):
            raise Broken(f"a place that is no path: {path!r}")
    return default_listen(environ) is None


def _notified(environ: dict[str, str]) -> Hashable:
    with closing(Notifier(environ)) as notifier:
        notifier.ready("2/3 targets ready, one/m cooling")
        notifier.alive()
    if notifier.watchdog_s is not None and not 0 < notifier.watchdog_s < math.inf:
        raise Broken(f"a watchdog of {notifier.watchdog_s} s")
    return notifier.watchdog_s is None


_WORDS: Final[Mapping[str, Callable[[str], Hashable]]] = {
    "duration": lambda text: math.isfinite(parse_duration(text)),
    "size": lambda text: parse_size(text) > 0,
    "listen": lambda text: parse_listen(text)[1] > 0,
    "point": lambda text: len(parse_point(text)),
    "key": lambda text: resolve_secret(text.replace("/proc", "/nowhere"), {"SECRET": SECRETS[0]})[1] is None,
}


def _word(name: str, value: str) -> Hashable:
    if name not in _WORDS:
        return None
    try:
        return _WORDS[name](value)
    except SecretProblem as error:
        if secrets_in(str(error)):
            raise Broken("a planted secret stands in a problem") from error
        return "secret"
    except ValueError as error:
        if "\n" in str(error):
            raise Broken(f"an error that is not one line: {str(error)[:80]!r}") from error
        return str(error)[-20:]


ENVIRONMENT: Final = Surface(
    "environment", lambda: list(_SEEDS), mixed(mutated_bytes, mutated_lines, mutated_lines), _take, share=5, grows=False
)
