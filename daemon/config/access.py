"""Who may do what, and where the daemon listens: what a configuration may say of it, and what that comes to."""

from __future__ import annotations

import grp
import ipaddress
import pwd
from collections.abc import Collection
from typing import Final

import msgspec

from daemon.access.hosts import host_of, is_loopback
from daemon.access.roles import Access, Roles, Roster
from daemon.config.configuration import Configuration
from daemon.config.locate import KeyPath
from daemon.config.reading import Problems
from daemon.config.settings import DaemonSettings
from state.errors import ConfigError

__all__ = ["access_of", "check_access", "insist_on_keys", "parse_listen", "unknown_names"]

Addresses = tuple[tuple[str, int], ...]
_MOST_PORT: Final = 65535
_LISTS: Final = ("operators", "clients", "readers", "speakers")


def parse_listen(text: str) -> tuple[str, int]:
    """Return the address that `HOST:PORT` names. Raises ValueError where it names none."""
    host, _, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"{text!r} is not ADDRESS:PORT, such as 127.0.0.1:4180") from None
    if not (port.isascii() and port.isdecimal()) or int(port) > _MOST_PORT:
        raise ValueError(f"{text!r} has no port, such as 127.0.0.1:4180")
    return host, int(port)


def check_access(daemon: DaemonSettings, listen: Addresses, keys: Collection[str], problems: Problems) -> None:
    """Note what is wrong with who may do what."""
    for problem in _exposed(listen, keys):
        problems.add(("daemon", "listen"), f"listen: {problem}")
    if daemon.require_keys and not keys:
        text = "require_keys lets nobody in over TCP, since there is no key; fairlead keys add NAME makes one"
        problems.add(("daemon", "require_keys"), text)
    if daemon.readers is not None and daemon.clients is None:
        text = "readers says who else may read, but everyone is a client; name clients too (clients = [] for nobody)"
        problems.add(("daemon", "readers"), text)
    for host in daemon.hosts:
        if host_of(f"{host}:1") is None:  # one with a port already is none with two
            problems.add(("daemon", "hosts"), f"hosts names {host[:80]!r}, which is not a host such as llm.example.com")


def access_of(daemon: DaemonSettings, listen: Addresses) -> Access:
    """Return who may do what. Looks the names of users and groups up, which may take its time."""
    roles = Roles(
        operators=_roster(daemon.operators),
        clients=None if daemon.clients is None else _roster(daemon.clients),
        readers=None if daemon.readers is None else _roster(daemon.readers),
    )
    return Access(
        roles=roles,
        speakers=_roster(daemon.speakers),
        require_keys=daemon.require_keys or not _all_loopback(listen),
        hosts=frozenset(host for host in map(host_of, daemon.hosts) if host),
    )


def unknown_names(daemon: DaemonSettings) -> list[tuple[KeyPath, str]]:
    """Return a warning for each user and group that this system does not know."""
    return [
        (("daemon", field), f"{field} names {name!r}, whom this system does not know: it admits nobody")
        for field in _LISTS
        for name in getattr(daemon, field) or ()
        if _roster((name,)) == Roster()
    ]


def insist_on_keys(configuration: Configuration, listen: Addresses) -> Configuration:
    """Return `configuration` for a daemon that was told where to listen: beyond loopback it requires keys.

    Raises ConfigError where it has none.
    """
    names = [key.name for key in configuration.keys]
    if problems := _exposed(listen, names):
        raise ConfigError(tuple(f"--listen: {problem}" for problem in problems))
    if _all_loopback(listen):
        return configuration
    return msgspec.structs.replace(
        configuration, access=msgspec.structs.replace(configuration.access, require_keys=True)
    )


def _exposed(listen: Addresses, keys: Collection[str]) -> tuple[str, ...]:
    """Return why addresses that other machines can reach may not be listened at, nothing where there are keys."""
    return tuple(
        f"{host!r} is not loopback: others could send requests at your expense. Make a key first, with fairlead keys "
        "add NAME, or listen at 127.0.0.1"
        for host, _ in listen
        if not is_loopback(host) and not keys
    )


def _all_loopback(listen: Addresses) -> bool:
    return all(is_loopback(host) for host, _ in listen)


def _roster(names: tuple[str, ...]) -> Roster:
    """Return users, and groups that are written `@name`, as numbers. Names that are not known admit nobody.

    A group's members are not looked up: the kernel says of which groups a peer is.
    """
    uids = (_uid_of(name) for name in names if not name.startswith("@"))
    gids = (_gid_of(name[1:]) for name in names if name.startswith("@"))
    return Roster(frozenset(uid for uid in uids if uid is not None), frozenset(gid for gid in gids if gid is not None))


def _uid_of(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return None


def _gid_of(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        return None
