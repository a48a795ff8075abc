"""Copy the history, whole and of one moment, while the daemon writes it. The copy is one plain file."""

from __future__ import annotations

import argparse
import sqlite3
from contextlib import closing
from pathlib import Path

from daemon.cli.client import configure_client, history_to_read, print_json
from daemon.cli.exits import Exit, VerbFailed
from daemon.cli.reading import insist_on_permission
from state.errors import HistoryError
from state.history.backups import copy_history
from state.history.inspection import open_for_reading, told_plainly
from state.history.places import may_be_replaced, size

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("file", metavar="FILE", help="where to; its group may read it (mode 0640)")
    parser.add_argument("--force", action="store_true", help="replace FILE where it exists")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    parser.add_argument("--history", metavar="FILE", help="the history's file [env: FAIRLEAD_HISTORY]")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Copy; the copy is there as a whole, or not at all."""
    path, copy = history_to_read(options), Path(options.file)
    insist_on_permission(path)
    _insist_on_place(options, path, copy)
    try:
        with told_plainly(path), closing(open_for_reading(path)) as connection:
            _copy(connection, copy)
    except HistoryError as error:
        raise VerbFailed(Exit.FAILED, str(error)) from error
    if options.json:
        print_json("history-backup", {"path": str(path), "copy": str(copy.absolute()), "bytes": size(copy)})
    else:
        print(f"{copy}: {size(copy) / 1e6:.1f} MB, as {path} was when it began")
    return Exit.FINE


def _insist_on_place(options: argparse.Namespace, path: Path, copy: Path) -> None:
    if copy.is_dir():
        raise VerbFailed(Exit.USAGE, f"{copy} is a folder; name the file that is to be made in it")
    if not may_be_replaced(copy):
        raise VerbFailed(Exit.USAGE, f"{copy} is a link, a device or a pipe, not a file; name another")
    if copy.exists() and copy.samefile(path):
        raise VerbFailed(Exit.USAGE, f"{copy} is the history itself")
    if copy.exists() and not options.force:
        raise VerbFailed(Exit.FAILED, f"{copy} exists; name another file, or say --force")


def _copy(connection: sqlite3.Connection, copy: Path) -> None:
    try:
        copy_history(connection, copy)
    except OSError as error:
        raise HistoryError(f"{copy} cannot be written: {error.strerror}") from error
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
            raise HistoryError(
                f"{copy} cannot be written: {error}; make room, or name a file on another disk"
            ) from error
        raise
