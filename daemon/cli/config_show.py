"""`config show`: the configuration as `serve` would take it here, with the same options and environment."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from daemon.cli.client import print_json
from daemon.cli.exits import Exit, VerbFailed
from daemon.config.access import parse_listen
from daemon.config.discovery import discovered
from daemon.config.effective import DEFAULT, Value, by_environment, by_files, settings_found, values_of
from daemon.config.load import read_settings
from daemon.config.places import config_files, default_listen, history_file, server_socket
from daemon.config.writing import toml_lines, toml_value
from state.errors import ConfigError

__all__ = ["configure_show", "show"]

_COLUMN = 56
_LISTEN = ("daemon", "listen")
_LOG_FORMAT = ("daemon", "log_format")


class _Shown(NamedTuple):
    """What is in force: where it was read, the values of the file, and the places that no file can set."""

    sources: tuple[str, ...]
    values: tuple[Value, ...]
    places: tuple[Value, ...]


def configure_show(parser: argparse.ArgumentParser) -> None:
    """Add the action's options: those of `serve` that change what is in force."""
    parser.add_argument("--config", metavar="FILE", help="[env: FAIRLEAD_CONFIG]")
    parser.add_argument("--socket", metavar="PATH", help="[env: FAIRLEAD_SOCKET]")
    parser.add_argument("--listen", metavar="HOST:PORT", help="loopback TCP, or `none` [env: FAIRLEAD_LISTEN]")
    parser.add_argument("--history", metavar="FILE", help="[env: FAIRLEAD_HISTORY]")
    parser.add_argument("--origin", action="store_true", help="say behind each value who set it")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")


def show(options: argparse.Namespace) -> Exit:
    """Print it; the exit code is 5 where the configuration is invalid."""
    try:
        shown = _shown(options, os.environ)
    except ConfigError as error:
        raise VerbFailed(Exit.INVALID_CONFIGURATION, str(error)) from error
    if options.json:
        print_json("config", _members(shown))
        return Exit.FINE
    for line, origin in _lines(shown):
        print(f"{line:<{_COLUMN}} # {origin}" if options.origin and origin else line)
    return Exit.FINE


def _shown(options: argparse.Namespace, environ: Mapping[str, str]) -> _Shown:
    files = config_files(options.config, environ, os.getuid())
    if files:
        document, settings = read_settings(files)
        values = values_of(settings, by_files(document))
    else:
        settings = settings_found(discovered(environ))
        values = values_of(settings, by_environment(settings))
    told = tuple(_overridden(options, environ, each) for each in values)
    return _Shown(tuple(map(str, files)) or ("environment",), told, _places(options, environ))


def _overridden(options: argparse.Namespace, environ: Mapping[str, str], configured: Value) -> Value:
    if configured.path == _LISTEN:
        return _listening(options, environ, configured)
    if configured.path == _LOG_FORMAT and (named := environ.get("FAIRLEAD_LOG_FORMAT")):
        return Value(_LOG_FORMAT, named, "environment: FAIRLEAD_LOG_FORMAT")
    return configured


def _listening(options: argparse.Namespace, environ: Mapping[str, str], configured: Value) -> Value:
    """Return the addresses that TCP listens at: an option goes before the environment, and that before the file."""
    named = options.listen or environ.get("FAIRLEAD_LISTEN")
    if named is not None:
        if named != "none":
            _insist_on_address(named)
        return Value(_LISTEN, [] if named == "none" else [named], _origin(options.listen, "FAIRLEAD_LISTEN"))
    fallback = default_listen(environ)
    taken = configured.value if configured.value is not None else [fallback] if fallback else []
    return msgspec.structs.replace(configured, value=taken)


def _insist_on_address(text: str) -> None:
    try:
        parse_listen(text)
    except ValueError as error:
        raise VerbFailed(Exit.USAGE, f"--listen: {error}") from error


def _places(options: argparse.Namespace, environ: Mapping[str, str]) -> tuple[Value, ...]:
    socket = str(server_socket(options.socket, environ, os.getuid()))
    history = str(history_file(options.history, environ))
    return (
        Value(("socket",), socket, _origin(options.socket, "FAIRLEAD_SOCKET", "RUNTIME_DIRECTORY")),
        Value(("history",), history, _origin(options.history, "FAIRLEAD_HISTORY", "STATE_DIRECTORY")),
    )


def _origin(option: str | None, *variables: str) -> str:
    if option:
        return "command line"
    return next((f"environment: {name}" for name in variables if os.environ.get(name)), DEFAULT)


def _lines(shown: _Shown) -> Iterator[tuple[str, str]]:
    yield f"# in force: {', '.join(shown.sources)}", ""
    for place in shown.places:
        yield f"# {place.path[0]}: {toml_value(place.value)}", place.origin
    yield from toml_lines(shown.values)


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _members(shown: _Shown) -> dict[str, Any]:
    return {
        "sources": shown.sources,
        "places": {place.path[0]: {"value": place.value, "origin": place.origin} for place in shown.places},
        "values": [{"path": each.path, "value": _json(each.value), "origin": each.origin} for each in shown.values],
    }
