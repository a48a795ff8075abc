"""Read the history with SQL, read-only, with and without a running daemon. See docs/history.md for tables and views."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from daemon.cli.client import ask, configure_client, print_json
from daemon.cli.exits import Exit, VerbFailed
from daemon.cli.tables import render_table
from daemon.config.places import client_history
from state.errors import HistoryError
from state.history.inspection import Cell, QueryLimits, query

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("query", help="one SQL statement that reads")
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    parser.add_argument("--history", metavar="FILE", help="the history's file [env: FAIRLEAD_HISTORY]")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Print the rows."""
    columns, rows, truncated = _rows(options)
    if options.format == "json":
        print_json("sql", {"columns": columns, "rows": rows, "truncated": truncated})
    elif options.format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([columns, *rows])
    else:
        print(render_table(columns, rows))
    if truncated:
        print(f"fairlead sql: only the first {len(rows)} rows are shown", file=sys.stderr)
    return Exit.FINE


def _rows(options: argparse.Namespace) -> tuple[Sequence[str], Sequence[Sequence[Any]], bool]:
    """Read the file that was named, or where it is readable; else have the daemon read its own."""
    named = options.history or os.environ.get("FAIRLEAD_HISTORY")
    path = client_history(options.history, os.environ)
    if named or (options.socket is None and os.access(path, os.R_OK)):
        try:
            table = query(path, options.query, limits=QueryLimits())
        except HistoryError as error:
            raise VerbFailed(Exit.FAILED, str(error)) from error
        return table.columns, [[_printable(cell) for cell in row] for row in table.rows], table.truncated
    answer = ask(options, "POST", "/fairlead/v1/sql", {"query": options.query})
    return answer["columns"], answer["rows"], answer["truncated"]


def _printable(cell: Cell) -> str | int | float | None:
    """Return bytes in base64, as the daemon does."""
    return b64encode(cell).decode() if isinstance(cell, bytes) else cell
