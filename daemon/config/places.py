"""Where things are: the configuration's files, the socket, TCP, the history. Pure functions of the environment."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = [
    "DEFAULT_LISTEN",
    "client_history",
    "client_socket",
    "config_files",
    "default_listen",
    "history_file",
    "is_service",
    "keys_file",
    "runtime_folder",
    "server_socket",
]

DEFAULT_LISTEN: Final = "127.0.0.1:4180"
"""Where a user's daemon listens besides its socket, for clients that know only URLs."""
_SYSTEM_CONFIG = Path("/etc/fairlead")
_SYSTEM_SOCKET = Path("/run/fairlead/fairlead.sock")
_SYSTEM_HISTORY = Path("/var/lib/fairlead/history.sqlite")


def config_files(explicit: str | None, environ: Mapping[str, str], uid: int) -> tuple[Path, ...]:
    """Return the files to read, in order; none where there is no configuration.

    `--config`, else `$FAIRLEAD_CONFIG`; else, for a user, the user's own file; else /etc/fairlead/fairlead.toml and
    the drop-ins of /etc/fairlead/conf.d. For root and under systemd the system's file comes first, to be complained of
    where it may not be read; to a user who may not read it, it does not exist.
    """
    named = explicit or environ.get("FAIRLEAD_CONFIG")
    if named:
        return (Path(named),)
    own = _xdg(environ, "XDG_CONFIG_HOME", ".config") / "fairlead.toml"
    mine = (own,) if own.is_file() else ()
    first = _SYSTEM_CONFIG / "fairlead.toml"
    systems = uid == 0 or is_service(environ)
    try:
        system = tuple(file for file in (first, *sorted((_SYSTEM_CONFIG / "conf.d").glob("*.toml"))) if file.is_file())
    except PermissionError:
        system = (first,) if systems else ()
    return (system or mine) if systems else (mine or system)


def keys_file(files: tuple[Path, ...]) -> Path:
    """Return where a new key is written, for a configuration of `files`, so that whoever reads them reads it too.

    Beside the system's file in its conf.d; into a user's own file, and into one that was named, which are read alone.
    """
    return _SYSTEM_CONFIG / "conf.d" / "keys.toml" if _SYSTEM_CONFIG in files[0].parents else files[0]


def server_socket(explicit: str | None, environ: Mapping[str, str], uid: int) -> Path:
    """Return where a daemon puts its socket."""
    named = explicit or environ.get("FAIRLEAD_SOCKET")
    if named:
        return Path(named)
    runtime = environ.get("RUNTIME_DIRECTORY")
    if runtime:
        return Path(runtime.partition(":")[0]) / "fairlead.sock"
    return _user_socket(environ, uid)


def runtime_folder(socket: Path, environ: Mapping[str, str]) -> Path:
    """Return where a daemon that listens at `socket` puts sockets of its own: a socket unit's folder is not its."""
    runtime = environ.get("RUNTIME_DIRECTORY")
    return Path(runtime.partition(":")[0]) if runtime else socket.parent


def client_socket(explicit: str | None, environ: Mapping[str, str], uid: int) -> Path:
    """Return where a client verb finds the daemon: the user's own where there is one, else the system's."""
    named = explicit or environ.get("FAIRLEAD_SOCKET")
    if named:
        return Path(named)
    own = _user_socket(environ, uid)
    return own if _there(own) or not _there(_SYSTEM_SOCKET) else _SYSTEM_SOCKET


def history_file(explicit: str | None, environ: Mapping[str, str]) -> Path:
    """Return where a daemon writes its history."""
    named = explicit or environ.get("FAIRLEAD_HISTORY")
    if named:
        return Path(named)
    state = environ.get("STATE_DIRECTORY")
    if state:
        return Path(state.partition(":")[0]) / "history.sqlite"
    return _xdg(environ, "XDG_STATE_HOME", ".local/state") / "history.sqlite"


def client_history(explicit: str | None, environ: Mapping[str, str]) -> Path:
    """Return the history that `sql` reads: the user's own where there is one, else the system's."""
    own = history_file(explicit, environ)
    named = explicit or environ.get("FAIRLEAD_HISTORY")
    return own if named or _there(own) or not _there(_SYSTEM_HISTORY) else _SYSTEM_HISTORY


def default_listen(environ: Mapping[str, str]) -> str | None:
    """Return the TCP address of a daemon that was told none: a user's has one, a service's has not."""
    return None if is_service(environ) else DEFAULT_LISTEN


def is_service(environ: Mapping[str, str]) -> bool:
    """Return whether systemd has started the daemon by a unit that gives it folders."""
    return "STATE_DIRECTORY" in environ or "RUNTIME_DIRECTORY" in environ


def _there(path: Path) -> bool:
    """Return whether something is at `path`, as far as this user can tell: what it may not see may be there."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _user_socket(environ: Mapping[str, str], uid: int) -> Path:
    runtime = environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime) / "fairlead" if runtime else Path(tempfile.gettempdir()) / f"fairlead-{uid}"
    return folder / "fairlead.sock"


def _xdg(environ: Mapping[str, str], variable: str, fallback: str) -> Path:
    base = environ.get(variable)
    return (Path(base) if base else Path(environ.get("HOME", "/")) / fallback) / "fairlead"
