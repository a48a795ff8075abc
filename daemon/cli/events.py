"""Print fallbacks, changes of standing, probes, operations and alerts: the last ones, or as they happen."""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

from daemon.cli.client import configure_client, talking, understood
from daemon.cli.exits import Exit, VerbFailed

__all__ = ["configure", "run"]

_QUIET_S: Final = 60.0
"""The daemon says something every 15 s; so much silence is a daemon that hangs."""
_AGAIN_S: Final = 1.0
_LAST: Final = 50


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--follow", "-f", action="store_true", help="go on until interrupted, over restarts too")
    parser.add_argument("--since", metavar="1h", default=None, help="begin there [1h; with --follow: now]")
    parser.add_argument("--json", action="store_true", help="print each event as one line of JSON")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Print events; with `--follow` until interrupted."""
    if options.follow:
        _follow(options)
    events = deque(_events(options, None), None if options.since else _LAST)
    for event in events:
        _show(event, options)
    return Exit.FINE


def _follow(options: argparse.Namespace) -> None:
    """Print events for ever, over restarts of the daemon; raise VerbFailed only where none has ever answered."""
    last, met = None, False
    while True:
        try:
            for event in _events(options, last):
                met, last = True, event["id"] or last
                if event["kind"]:
                    _show(event, options)
        except VerbFailed:
            if not met:
                raise
        time.sleep(_AGAIN_S)


def _events(options: argparse.Namespace, last: str | None) -> Iterator[dict[str, Any]]:
    """Yield events, beginning with one of no kind that says that the daemon answers. Raises VerbFailed."""
    asked = {"follow": "1" if options.follow else "0"}
    if options.since or not options.follow:
        asked["since"] = options.since or "1h"
    with talking(options, _QUIET_S) as connection:
        connection.request("GET", "/fairlead/v1/events?" + urlencode(asked), headers={"last-event-id": last or ""})
        answer = connection.getresponse()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            understood(answer.status, answer.read())
        if options.follow:
            yield {"id": last, "kind": "", "row": {}}
        yield from _read(answer)


def _read(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    fields: dict[str, str] = {}
    while line := answer.readline():
        name, _, value = line.decode().rstrip("\r\n").partition(": ")
        if name:
            fields[name] = value
        elif "data" in fields:
            yield {"id": fields.get("id"), "kind": fields.get("event", ""), "row": json.loads(fields["data"])}
            fields = {}
        else:
            fields = {}


def _show(event: dict[str, Any], options: argparse.Namespace) -> None:
    if not event["kind"]:
        return
    if options.json:
        print(json.dumps({"schema": "fairlead.events/1", "id": event["id"], "kind": event["kind"], **event["row"]}))
    else:
        print(f"{event['row'].get('at', '')[:19]}Z {event['kind']:<10} {_told(event['kind'], event['row'])}")
    sys.stdout.flush()


def _told(kind: str, row: dict[str, Any]) -> str:
    match kind:
        case "fallback":
            why = ": ".join(part for part in (row["fault"], row["reason"]) if part)
            return f"{row['workload']}: {row['from_target']} -> {row['to_target']} ({why})"
        case "transition":
            return f"{row['target']}: {row['before']} -> {row['after']} ({row['cause']})"
        case "probe":
            said = row["fault"] or "ok"
            return f"{row['target']}: {row['kind']} {said} in {row['latency_ms']:.0f} ms {row['reason']}".rstrip()
        case "operation":
            target = f" {row['target']}" if row["target"] else ""
            return f"{row['verb']}{target} by {row['by']} {row['reason']}".rstrip()
        case _:
            return f"{row.get('kind', '')}: {row.get('message', '')}"
