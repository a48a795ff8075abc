"""Say whether the history is whole, whose it is, who may read it and what it holds. It only reads."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from datetime import UTC, datetime

from daemon.cli.client import configure_client, history_to_read, print_json
from daemon.cli.exits import Exit, VerbFailed
from daemon.cli.reading import insist_on_permission
from daemon.cli.tables import render_table
from state.errors import HistoryError
from state.history.examination import Depth, Examination, TableSize, examine

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--full", action="store_true", help="every index against its table too, and bytes per table")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    parser.add_argument("--history", metavar="FILE", help="the history's file [env: FAIRLEAD_HISTORY]")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Check; the exit code is 1 where something is wrong."""
    path = history_to_read(options)
    insist_on_permission(path)
    try:
        found = examine(path, Depth.full() if options.full else Depth.quick())
    except HistoryError as error:
        raise VerbFailed(Exit.FAILED, str(error)) from error
    if options.json:
        findings = [finding._asdict() for finding in found.findings]
        tables = [table._asdict() for table in found.tables]
        print_json("history-check", {"path": str(path), "ok": found.ok, "findings": findings, "tables": tables})
    else:
        print("\n".join(_lines(os.fspath(path), found)))
    return Exit.FINE if found.ok else Exit.FAILED


def _lines(path: str, found: Examination) -> Iterator[str]:
    yield f"{path}: {'fine' if found.ok else 'something is wrong'}"
    for finding in found.findings:
        yield f"{' ' if finding.ok else '!'} {finding.name}: {finding.detail}"
    if found.tables:
        yield ""
        titles = ("TABLE", "ROWS", "OLDEST", "NEWEST", "BYTES")
        yield render_table(titles, [_row(table) for table in found.tables])


def _row(table: TableSize) -> tuple[object, ...]:
    return (table.name, table.rows, _time(table.first_ms), _time(table.last_ms), table.bytes)


def _time(unix_ms: int | None) -> str | None:
    if unix_ms is None:
        return None
    try:
        return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(unix_ms)
