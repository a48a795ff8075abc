"""Delete the history's old rows now; what they add up to (hourly figures, spending) stays.

A running daemon writes its file alone, so it is asked to (operators only); without one the file is opened here. Room
is used again for new rows; --vacuum gives it back to the disk.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, Final

from daemon.cli import client
from daemon.cli.exits import Exit, VerbFailed
from state.durations import LONGEST_DRAIN_S, Seconds, parse_duration
from state.errors import HistoryError
from state.history.offline import prune_offline
from state.history.pruning import LEAST_S, Room

__all__ = ["configure", "run"]

_PATIENCE_S: Final = 620.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--older-than", metavar="30d", default="30d", help="how old rows must be to go, at least 1h [30d]"
    )
    parser.add_argument("--vacuum", action="store_true", help="give the room of deleted rows back to the disk")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    parser.add_argument("--history", metavar="FILE", help="the history's file [env: FAIRLEAD_HISTORY]")
    client.configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Prune through the daemon that writes the file, or directly where none does."""
    older_than = _older_than(options.older_than)
    room = Room.RETURNED if options.vacuum else Room.KEPT
    path = client.history_to_read(options)
    if _is_written_by_a_daemon(options, path):
        report = _through_the_daemon(options, older_than, room)
    else:
        report = _here(path, older_than, room)
    if options.json:
        client.print_json("history-prune", {"path": str(path), **report})
    else:
        print(_told(path, report, room))
    return Exit.FINE


def _older_than(text: str) -> Seconds:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise VerbFailed(Exit.USAGE, f"--older-than: {error}") from error
    client.insist_within("--older-than, in seconds,", seconds, LEAST_S, LONGEST_DRAIN_S)
    return seconds


def _is_written_by_a_daemon(options: argparse.Namespace, path: Path) -> bool:
    try:
        theirs = client.ask(options, "GET", "/fairlead/v1/status")["history"]["path"]
    except VerbFailed as failure:
        if failure.exit is not Exit.NO_DAEMON:
            raise
        return False
    try:
        return path.samefile(theirs)
    except OSError:  # a user who may see neither means the daemon's
        return options.history is None or str(path.absolute()) == theirs


def _through_the_daemon(options: argparse.Namespace, older_than: Seconds, room: Room) -> dict[str, Any]:
    body = json.dumps({"older_than_s": float(older_than), "room": room})
    with client.talking(options, _PATIENCE_S) as connection:
        connection.request("POST", "/fairlead/v1/history/prune", body)
        answer = connection.getresponse()
        text = answer.read()
    report: dict[str, Any] = client.understood(answer.status, text)
    return report


def _here(path: Path, older_than: Seconds, room: Room) -> dict[str, Any]:
    try:
        report = prune_offline(path, older_than, room, round(time.time() * 1000))
    except HistoryError as error:
        raise VerbFailed(Exit.FAILED, str(error)) from error
    return {name: getattr(report, name) for name in report.__struct_fields__ if name != "cause"}


def _told(path: Path, report: dict[str, Any], room: Room) -> str:
    """Return what happened in a line, and what to do where unused room could not be given back."""
    before, after, unused = (report[name] / 1e6 for name in ("bytes_before", "bytes_after", "unused_bytes"))
    line = f"{path}: {report['rows']} rows deleted, {before:.1f} MB before, {after:.1f} MB after"
    if room is Room.KEPT:
        return f"{line}, {unused:.1f} MB of it for new rows (--vacuum gives them back)"
    if report["unused_bytes"]:
        return f"{line}, {unused:.1f} MB still unused: a file of an earlier fairlead; prune it once without a daemon"
    return line
