"""Reading the history for a verb: the file where it is named or readable, else through the daemon that writes it."""

from __future__ import annotations

import argparse
import os
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from daemon.cli.client import ask, configure_client
from daemon.cli.exits import Exit, VerbFailed
from daemon.config.places import client_history
from state.errors import HistoryError
from state.history.inspection import Cell, QueryLimits, query

__all__ = [
    "Found",
    "configure_reading",
    "insist_on_permission",
    "insist_on_version_4",
    "read_history",
    "reads_the_file",
]

_OLD: Final = "no such table"


class Found(NamedTuple):
    """What a query found, ready to be printed; `truncated` says that there was more."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    truncated: bool


def configure_reading(parser: argparse.ArgumentParser) -> None:
    """Add what every verb takes that reads the history."""
    parser.add_argument("--history", metavar="FILE", help="the history's file [env: FAIRLEAD_HISTORY]")
    configure_client(parser)


def read_history(options: argparse.Namespace, sql: str) -> Found:
    """Read the file that was named, or where it is readable; else have the daemon read its own. Raises VerbFailed."""
    path = client_history(options.history, os.environ)
    if reads_the_file(options):
        try:
            table = query(path, sql, limits=QueryLimits())
        except HistoryError as error:
            raise VerbFailed(Exit.FAILED, str(error)) from error
        return Found(table.columns, [[_printable(cell) for cell in row] for row in table.rows], table.truncated)
    answer = ask(options, "POST", "/fairlead/v1/sql", {"query": sql})
    return Found(answer["columns"], answer["rows"], answer["truncated"])


def reads_the_file(options: argparse.Namespace) -> bool:
    """Return whether the file is read here: it was named, or may be read; else the daemon reads it for us."""
    if options.history or os.environ.get("FAIRLEAD_HISTORY"):
        return True
    return options.socket is None and os.access(client_history(None, os.environ), os.R_OK)


def insist_on_permission(path: Path) -> None:
    """Raise VerbFailed where the file is there and may not be read: what is to be done needs the file itself."""
    try:
        path.stat()
    except PermissionError as error:
        raise VerbFailed(Exit.NOT_PERMITTED, f"{path} cannot be reached by you; ask for its group") from error
    except OSError:
        return
    if not os.access(path, os.R_OK):
        raise VerbFailed(Exit.NOT_PERMITTED, f"{path} may not be read by you; ask for its group")


def insist_on_version_4(failure: VerbFailed) -> VerbFailed:
    """Return what to raise instead of `failure`: in plain words where the file is too old to hold what was asked."""
    if _OLD not in str(failure):
        return failure
    return VerbFailed(
        Exit.FAILED,
        "the history was written by a fairlead that knew no costs and no reviews; start the daemon once, which brings "
        "it up",
    )


def _printable(cell: Cell) -> str | int | float | None:
    """Return bytes in base64, as the daemon does."""
    return b64encode(cell).decode() if isinstance(cell, bytes) else cell
