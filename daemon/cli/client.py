"""Talking to the daemon: HTTP over its Unix socket, with the standard library alone."""

from __future__ import annotations

import argparse
import http.client
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from daemon.cli.exits import Exit, VerbFailed
from daemon.cli.getting_in import how_to_get_in
from daemon.config.places import client_history, client_socket
from daemon.unix_http import UnixConnection

__all__ = [
    "ask",
    "configure_client",
    "history_to_read",
    "insist_within",
    "print_json",
    "talking",
    "target_url",
    "understood",
]

_PATIENCE_S: Final = 20.0
_EXITS: Final = {401: Exit.NOT_PERMITTED, 403: Exit.NOT_PERMITTED, 422: Exit.INVALID_CONFIGURATION, 400: Exit.USAGE}


def configure_client(parser: argparse.ArgumentParser) -> None:
    """Add what every client verb takes."""
    parser.add_argument("--socket", metavar="PATH", help="the daemon's socket [env: FAIRLEAD_SOCKET]")


def ask(options: argparse.Namespace, method: str, url: str, body: object = None) -> Any:
    """Return the daemon's JSON answer. Raises VerbFailed with the exit code that fits."""
    with talking(options, _PATIENCE_S) as connection:
        connection.request(method, url, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        text = answer.read()
    return understood(answer.status, text)


def history_to_read(options: argparse.Namespace) -> Path:
    """Return the file that was named, else the usual one, else the one that the daemon on the socket writes."""
    named = options.history or os.environ.get("FAIRLEAD_HISTORY")
    usual = client_history(options.history, os.environ)
    if named or (options.socket is None and usual.exists()):
        return usual
    try:
        return Path(ask(options, "GET", "/fairlead/v1/status")["history"]["path"])
    except VerbFailed:
        if options.socket is not None:
            raise
        return usual  # whoever reads it says that it is not there


@contextmanager
def talking(options: argparse.Namespace, patience_s: float) -> Iterator[UnixConnection]:
    """Give a connection to the daemon, and turn what goes wrong on it into VerbFailed with the exit code that fits."""
    path = client_socket(options.socket, os.environ, os.getuid())
    connection = UnixConnection(path, patience_s)
    try:
        yield connection
    except TimeoutError as error:
        raise VerbFailed(Exit.TIMED_OUT, f"the daemon at {path} did not answer within {patience_s:g}s") from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise VerbFailed(Exit.NO_DAEMON, f"no daemon answers at {path}; start one with `fairlead serve`") from error
    except PermissionError as error:
        raise VerbFailed(Exit.NOT_PERMITTED, how_to_get_in(path)) from error
    except (OSError, http.client.HTTPException) as error:
        raise VerbFailed(
            Exit.FAILED, f"the daemon at {path} broke off: {str(error) or type(error).__name__}"
        ) from error
    finally:
        connection.close()


def understood(status: int, text: bytes) -> Any:
    """Return the daemon's JSON answer. Raises VerbFailed where it is an error, with its words."""
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise VerbFailed(Exit.FAILED, f"this is no fairlead daemon: it answered {status} without JSON") from error
    if status < http.HTTPStatus.BAD_REQUEST:
        return answer
    detail = answer.get("detail", f"the daemon answered {status}") if isinstance(answer, dict) else str(answer)
    problems = answer.get("problems", []) if isinstance(answer, dict) else []
    raise VerbFailed(_EXITS.get(status, Exit.FAILED), "\n".join([detail, *problems]))


def insist_within(option: str, value: float, least: float, most: float) -> None:
    """Raise VerbFailed where `value` of `option` is not from `least` to `most`."""
    if not least <= value <= most:
        raise VerbFailed(Exit.USAGE, f"{option} is {value:.15g}; give {least:.15g} to {most:.15g}")


def target_url(target: str, *more: str) -> str:
    """Return the control face's URL of a target. Raises VerbFailed where it is not written `provider/model`."""
    provider, slash, model = target.partition("/")
    if not slash or not provider or not model:
        raise VerbFailed(Exit.USAGE, f"{target!r} is not a target; write provider/model")
    return "/".join(["/fairlead/v1/targets", quote(provider, safe=""), quote(model), *more])


def print_json(verb: str, members: dict[str, Any]) -> None:
    """Print the verb's versioned object."""
    print(json.dumps({"schema": f"fairlead.{verb}/1", **members}, indent=2))
