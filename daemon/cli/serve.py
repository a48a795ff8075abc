"""Run the daemon in the foreground. It ends on SIGTERM or Ctrl-C, and reads its configuration again on SIGHUP.

Without --config: $FAIRLEAD_CONFIG, else the user's $XDG_CONFIG_HOME/fairlead/fairlead.toml, else
/etc/fairlead/fairlead.toml with conf.d/*.toml, else what the keys in the environment and local servers offer.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from typing import Final

from daemon.cli.exits import Exit, VerbFailed
from daemon.config.checks import parse_listen
from daemon.config.configuration import Configuration
from daemon.config.load import demo_configuration, load
from daemon.config.places import config_files, default_listen, history_file, runtime_folder, server_socket
from daemon.doors.sockets import ListenError
from daemon.lifecycle import Places, live, placed_configuration
from daemon.logs import configure_logs
from daemon.service.notify import Notifier
from state.errors import ConfigError

__all__ = ["configure", "run"]

_HOLD_BACK_S: Final = 2.0
"""How long a start that cannot succeed takes to fail under systemd, which starts the daemon again 0.2 s later, as is
right after a crash. Its own delay cannot tell the two apart before version 254, and no delay grows before that either."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--config", metavar="FILE", help="[env: FAIRLEAD_CONFIG]")
    source.add_argument("--demo", action="store_true", help="serve a workload `demo` over simulated targets")
    parser.add_argument("--socket", metavar="PATH", help="[env: FAIRLEAD_SOCKET]")
    parser.add_argument("--listen", metavar="HOST:PORT", help="loopback TCP, or `none` [env: FAIRLEAD_LISTEN]")
    parser.add_argument("--history", metavar="FILE", help="[env: FAIRLEAD_HISTORY]")


def run(options: argparse.Namespace) -> Exit:
    """Run until told to end."""
    places = _places(options)
    read = demo_configuration if options.demo else partial(_load, options.config)
    try:
        configuration = placed_configuration(read(), places)
        configure_logs(configuration.daemon.log_level)
        for warning in configuration.warnings:
            print(f"fairlead serve: warning: {warning}", file=sys.stderr)
        live(configuration, places, lambda: placed_configuration(read(), places))
    except ConfigError as error:
        return _refuse(VerbFailed(Exit.INVALID_CONFIGURATION, str(error)))
    except ListenError as error:
        return _refuse(VerbFailed(Exit.FAILED, str(error)))
    return Exit.FINE


def _refuse(failure: VerbFailed) -> Exit:
    """Say at once why there is no start, and under systemd let it wait before it tries again."""
    if "NOTIFY_SOCKET" not in os.environ:
        raise failure
    print(f"fairlead serve: {failure}", file=sys.stderr, flush=True)
    Notifier(os.environ).status(str(failure).partition("\n")[0])
    time.sleep(_HOLD_BACK_S)
    return failure.exit


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
