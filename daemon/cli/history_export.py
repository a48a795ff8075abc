"""Write a table of the history, a view, or what a query finds, as CSV, JSON lines or Parquet.

Rows are written as they are read, so that the memory needed does not depend on how many there are. A FILE is there as a
whole or not at all. BLOBs are written in base64 but for Parquet, NULL is nothing in CSV. Parquet needs the extra
`fairlead[parquet]`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from daemon.cli.exits import Exit, VerbFailed
from daemon.cli.history_formats import FORMATS, Format
from daemon.cli.history_sources import source_of
from daemon.cli.reading import configure_reading
from state.durations import LONGEST_DRAIN_S, parse_duration
from state.errors import HistoryError
from state.history.exporting import Asks, Export, query_export, table_export
from state.history.places import may_be_replaced, new_file

__all__ = ["configure", "run"]

_MODE: Final = 0o666
"""Of a new file, less the caller's umask."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("table", nargs="?", metavar="TABLE", help="a table or a view, such as attempt")
    what.add_argument("--query", metavar="SQL", help="one statement that reads")
    parser.add_argument("--format", choices=tuple(FORMATS), help="[by the name of FILE, else csv]")
    parser.add_argument("--output", metavar="FILE", default="-", help="where to [standard output]")
    parser.add_argument("--since", metavar="7d", help="only rows of the last 7d, 24h, 1h …")
    configure_reading(parser)


def run(options: argparse.Namespace) -> Exit:
    """Export; nothing is left behind where that fails."""
    form = FORMATS[_format(options)]
    form.insist_that_it_can_be_written()
    try:
        with source_of(options) as source, _opened(options.output) as file:
            count = _write(form, _wanted(options, source), file)
    except HistoryError as error:
        raise VerbFailed(Exit.FAILED, str(error)) from error
    print(f"fairlead history export: {count} rows", file=sys.stderr)
    return Exit.FINE


def _wanted(options: argparse.Namespace, source: Asks) -> Export:
    since_ms = _since_ms(options.since)
    if options.query is None:
        return table_export(source, options.table, since_ms)
    if since_ms is not None:
        raise VerbFailed(Exit.USAGE, "--since goes with a table; write `WHERE at_ms >= …` into the query")
    return query_export(source, options.query)


def _write(form: Format, export: Export, file: BinaryIO) -> int:
    count = 0
    with form.writing(export.columns, file) as write:
        for rows in export.pages:
            write(rows)
            count += len(rows)
    return count


def _format(options: argparse.Namespace) -> str:
    ending = Path(options.output).suffix.lower().lstrip(".")
    name = options.format or {"ndjson": "jsonl"}.get(ending, ending)
    if name == "parquet" and options.output == "-":
        raise VerbFailed(Exit.USAGE, "Parquet is written to a file: name it with --output")
    return name if name in FORMATS else "csv"


def _since_ms(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise VerbFailed(Exit.USAGE, f"--since: {error}") from error
    return round((time.time() - min(seconds, LONGEST_DRAIN_S)) * 1000)


@contextmanager
def _opened(output: str) -> Iterator[BinaryIO]:
    """Give what is written to; a file gets its name once it is whole."""
    if output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if not may_be_replaced(Path(output)):
        raise VerbFailed(Exit.USAGE, f"{output} is not a regular file; leave --output out for standard output")
    part = Path(f"{output}.part{os.getpid()}")
    try:
        with os.fdopen(new_file(part, _MODE), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(output)
    except OSError as error:
        raise VerbFailed(Exit.FAILED, f"{output} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            part.unlink()
