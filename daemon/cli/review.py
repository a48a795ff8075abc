"""List the answers that a person is to look at, and approve or reject them. Of their text there is only the hash."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final
from urllib.parse import quote

from daemon.cli.client import ask, print_json
from daemon.cli.exits import Exit, VerbFailed
from daemon.cli.reading import configure_reading, insist_on_version_4, read_history
from daemon.cli.tables import render_table

__all__ = ["configure", "run"]

_LIST: Final = "SELECT at, request_id, workload, target, team, user, sha256 FROM pending_reviews"
_SHOWN: Final = 12
"""Of a hash's digits, in the table; JSON has all."""
_VERDICTS: Final = {"approve": "approved", "reject": "rejected"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    does = "what to do [list]"
    parser.add_argument("action", nargs="?", choices=("list", *_VERDICTS), default="list", help=does)
    parser.add_argument("request_id", nargs="?", metavar="REQUEST_ID", help="whose answer (x-request-id: req_…)")
    parser.add_argument("--reason", default="", help="why; kept in the history")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    configure_reading(parser)


def run(options: argparse.Namespace) -> Exit:
    """List what waits, or give a verdict; only operators may give one."""
    if options.action == "list":
        return _list(options)
    if options.request_id is None:
        message = f"name the request: fairlead review {options.action} req_…; fairlead review lists those that wait"
        raise VerbFailed(Exit.USAGE, message)
    return _decide(options)


def _list(options: argparse.Namespace) -> Exit:
    if options.request_id is not None or options.reason:
        raise VerbFailed(Exit.USAGE, "list takes neither a request nor a reason; say approve or reject")
    try:
        found = read_history(options, _LIST)
    except VerbFailed as failure:
        raise insist_on_version_4(failure) from failure
    pending = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    if options.json:
        print_json("review", {"pending": pending, "truncated": found.truncated})
    elif pending:
        print(render_table([name.upper() for name in found.columns], [_shown(one) for one in pending]))
    else:
        print("no answer waits for a review")
    if found.truncated:
        print(f"fairlead review: only the first {len(pending)} are shown", file=sys.stderr)
    return Exit.FINE


def _shown(one: dict[str, Any]) -> list[object]:
    return [*list(one.values())[:-1], one["sha256"][:_SHOWN]]


def _decide(options: argparse.Namespace) -> Exit:
    body = {"verdict": _VERDICTS[options.action], "reason": options.reason}
    answer = ask(options, "POST", f"/fairlead/v1/reviews/{quote(options.request_id, safe='')}", body)
    if options.json:
        print_json("review", answer)
    else:
        print(f"{answer['request_id']} {answer['verdict']}")
    return Exit.FINE
