"""Report every problem of the configuration at once, as file:line. With --online each key is tried too."""

from __future__ import annotations

import argparse
import http.client
import os
import sys
from urllib.parse import urlsplit

from daemon.cli.client import print_json
from daemon.cli.exits import Exit
from daemon.config.configuration import Configuration
from daemon.config.load import load
from daemon.config.places import config_files
from probes.dialects.requests import catalog_request
from probes.policy import Dialect, Provider
from state.errors import ConfigError

__all__ = ["configure", "run"]

_REFUSED = frozenset({401, 403})
_PATIENCE_S = 10.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--config", metavar="FILE", help="[env: FAIRLEAD_CONFIG]")
    parser.add_argument("--online", action="store_true", help="also list each provider's models with its key: free")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")


def run(options: argparse.Namespace) -> Exit:
    """Check; the exit code is 5 where the configuration is invalid, 1 where a key or a provider does not answer."""
    try:
        configuration = load(config_files(options.config, os.environ, os.getuid()), os.environ)
    except ConfigError as error:
        _tell(options, "invalid", error.problems, ())
        return Exit.INVALID_CONFIGURATION
    problems = tuple(_try_all(configuration)) if options.online else ()
    _tell(options, configuration.source, problems, configuration.warnings)
    return Exit.FAILED if problems else Exit.FINE


def _tell(options: argparse.Namespace, source: str, problems: tuple[str, ...], warnings: tuple[str, ...]) -> None:
    if options.json:
        print_json("check", {"source": source, "problems": problems, "warnings": warnings})
        return
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{source}: fine")


def _try_all(configuration: Configuration) -> list[str]:
    tried = [provider for provider in configuration.providers.values() if provider.dialect is not Dialect.SIMULATED]
    return [problem for provider in tried if (problem := _try(provider)) is not None]


def _try(provider: Provider) -> str | None:
    request = catalog_request(provider)
    place = urlsplit(provider.base_url)
    if place.scheme == "unix":
        return None  # a socket of this machine has no key to try
    make = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = make(place.netloc, timeout=_PATIENCE_S)
    try:
        connection.request(request.method, place.path.rstrip("/") + request.path, headers=dict(request.headers))
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{provider.name}: {provider.base_url} does not answer: {str(error) or type(error).__name__}"
    finally:
        connection.close()
    if status in _REFUSED:
        return f"{provider.name}: {provider.base_url} refuses the key ({status})"
    return None if status < http.HTTPStatus.BAD_REQUEST else f"{provider.name}: {provider.base_url} answered {status}"
