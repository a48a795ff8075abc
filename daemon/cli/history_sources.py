"""Where an export's rows come from: the file, where it may be read, else the daemon that writes it."""

from __future__ import annotations

import argparse
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from daemon.cli.client import ask
from daemon.cli.reading import reads_the_file
from daemon.config.places import client_history
from state.errors import HistoryError
from state.history.exporting import Asks, Page
from state.history.inspection import open_for_asking, told_plainly

__all__ = ["source_of"]


@contextmanager
def source_of(options: argparse.Namespace) -> Iterator[Asks]:
    """Give the file that was named or may be read, else the daemon. Raises HistoryError where there is neither."""
    if not reads_the_file(options):
        yield _Daemon(options)
        return
    path = client_history(options.history, os.environ)
    with closing(open_for_asking(path)) as connection:
        yield _File(path, connection)


class _File:
    """Reads the file."""

    page_rows = 5000

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Ask `connection`; what it raises is told of `path`."""
        self._path = path
        self._connection = connection

    def ask(self, sql: str) -> Page:
        """Return all that is found."""
        with told_plainly(self._path):
            cursor = self._connection.execute(sql)
            return Page(_names(cursor), cursor.fetchall(), cut=False)

    def stream(self, sql: str) -> Iterator[Page]:
        """Yield all that is found; it is all of one moment."""
        with told_plainly(self._path):
            cursor = self._connection.execute(sql)
            yield Page(_names(cursor), cursor.fetchmany(self.page_rows), cut=False)
            while rows := cursor.fetchmany(self.page_rows):
                yield Page(_names(cursor), rows, cut=False)


class _Daemon:
    """Asks the daemon, within the limits that it sets."""

    page_rows = 1000

    def __init__(self, options: argparse.Namespace) -> None:
        """Ask on the socket that `options` name."""
        self._options = options

    def ask(self, sql: str) -> Page:
        """Return what is found, as far as the daemon answers. Raises VerbFailed."""
        answer = ask(self._options, "POST", "/fairlead/v1/sql", {"query": sql})
        return Page(answer["columns"], answer["rows"], answer["truncated"])

    def stream(self, sql: str) -> Iterator[Page]:
        """Yield all that is found. Raises HistoryError where the daemon would not answer all of it."""
        page = self.ask(sql)
        if page.cut:
            raise HistoryError(
                f"the daemon answers the first {len(page.rows)} rows of a query alone; export a table, which is read "
                "in pieces, narrow the query, or have yourself added to the group that may read the file"
            )
        yield page


def _names(cursor: sqlite3.Cursor) -> tuple[str, ...]:
    return tuple(column[0] for column in cursor.description or ())
