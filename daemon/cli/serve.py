"""Run the daemon in the foreground. It ends on SIGTERM or Ctrl-C, and reads its configuration again on SIGHUP.

Without --config: $FAIRLEAD_CONFIG, else the user's $XDG_CONFIG_HOME/fairlead/fairlead.toml, else
/etc/fairlead/fairlead.toml with conf.d/*.toml, else what the keys in the environment and local servers offer.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
from functools import partial
from typing import Final

import structlog

from daemon.cli.exits import Exit, VerbFailed
from daemon.config.access import insist_on_keys, parse_listen
from daemon.config.configuration import Configuration
from daemon.config.load import demo_configuration, load
from daemon.config.places import config_files, default_listen, history_file, runtime_folder, server_socket
from daemon.doors.sockets import ListenError
from daemon.lifecycle import Places, live, placed_configuration
from daemon.logs.configuring import Log, configure_logs
from daemon.logs.foreign import listen_to_others
from daemon.logs.shapes import asked_format
from daemon.service.notify import Notifier
from daemon.service.secrecy import keep_memory_private, may_be_read
from daemon.service.status_line import failure_line
from daemon.service.streams import open_standard_streams
from state.errors import ConfigError, HistoryError

__all__ = ["configure", "run"]

_log = structlog.get_logger("fairlead")
_HOLD_BACK_S: Final = 2.0
"""How long a start that cannot succeed takes to fail under systemd, which starts the daemon again 0.2 s later, as is
right after a crash. Its own delay cannot tell the two apart, and does not grow before version 254."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--config", metavar="FILE", help="[env: FAIRLEAD_CONFIG]")
    source.add_argument("--demo", action="store_true", help="serve a workload `demo` over simulated targets")
    parser.add_argument("--socket", metavar="PATH", help="[env: FAIRLEAD_SOCKET]")
    parser.add_argument("--listen", metavar="HOST:PORT", help="TCP, or `none` [env: FAIRLEAD_LISTEN]")
    parser.add_argument("--history", metavar="FILE", help="[env: FAIRLEAD_HISTORY]")


def run(options: argparse.Namespace) -> Exit:
    """Run until told to end."""
    open_standard_streams()
    notifier = Notifier(os.environ)
    try:
        _serve(options, notifier)
    except VerbFailed as failure:
        notifier.failed(failure_line(str(failure)), _errno_of(failure))
        notifier.flush()
        if "NOTIFY_SOCKET" not in os.environ:
            raise
        return _hold_back(failure)
    finally:
        notifier.close()
    return Exit.FINE


def _hold_back(failure: VerbFailed) -> Exit:
    """Say at once why there is no start, and let systemd wait before it tries again."""
    print(f"fairlead serve: {failure}", file=sys.stderr, flush=True)
    time.sleep(_HOLD_BACK_S)
    return failure.exit


def _serve(options: argparse.Namespace, notifier: Notifier) -> None:
    places = _places(options)
    read = demo_configuration if options.demo else partial(_load, options.config)
    if not may_be_read(os.environ):
        keep_memory_private()
    try:
        configuration = _placed(read(), places)
        _tell_of(configuration)
        live(configuration, places, lambda: _placed(read(), places), notifier)
    except ConfigError as error:
        raise VerbFailed(Exit.INVALID_CONFIGURATION, str(error)) from error
    except (HistoryError, ListenError) as error:
        raise VerbFailed(Exit.FAILED, str(error)) from error


def _errno_of(failure: VerbFailed) -> int:
    """Return what the system said, as errno(3) has it; 0 where it said nothing."""
    error: BaseException | None = failure
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    return errno.EINVAL if failure.exit is Exit.INVALID_CONFIGURATION else getattr(error, "errno", None) or 0


def _placed(configuration: Configuration, places: Places) -> Configuration:
    return placed_configuration(insist_on_keys(configuration, places.listen or ()), places)


def _tell_of(configuration: Configuration) -> None:
    """Set the log up, and begin it with what the configuration warns of."""
    try:
        asked = asked_format(os.environ, configuration.daemon.log_format)
    except ValueError as error:
        raise VerbFailed(Exit.USAGE, str(error)) from error
    configure_logs(Log(level=configuration.daemon.log_level, format=asked), sys.stderr)
    listen_to_others()
    for warning in configuration.warnings:
        _log.warning("configuration_warning", warning=warning)


def _load(config: str | None) -> Configuration:
    return load(config_files(config, os.environ, os.getuid()), os.environ)


def _places(options: argparse.Namespace) -> Places:
    named = options.listen or os.environ.get("FAIRLEAD_LISTEN")
    try:
        listen = None if named is None else () if named == "none" else (parse_listen(named),)
    except ValueError as error:
        raise VerbFailed(Exit.USAGE, f"--listen: {error}") from error
    fallback = default_listen(os.environ)
    socket = server_socket(options.socket, os.environ, os.getuid()).absolute()
    return Places(
        socket=socket,
        runtime=runtime_folder(socket, os.environ),
        history=history_file(options.history, os.environ).absolute(),
        listen=listen,
        default_listen=() if fallback is None else (parse_listen(fallback),),
    )
