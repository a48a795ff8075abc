"""Read the history with SQL, read-only, with and without a running daemon. See docs/history.md for tables and views."""

from __future__ import annotations

import argparse
import csv
import sys

from daemon.cli.client import print_json
from daemon.cli.exits import Exit
from daemon.cli.reading import configure_reading, read_history
from daemon.cli.tables import render_table

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("query", help="one SQL statement that reads")
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    configure_reading(parser)


def run(options: argparse.Namespace) -> Exit:
    """Print the rows."""
    columns, rows, truncated = read_history(options, options.query)
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
