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
    since = (
        f"show everything since then [the last {_LAST} of 1h, without successful probes; with --follow: from now on]"
    )
    parser.add_argument("--since", metavar="1h", default=None, help=since)
    parser.add_argument("--json", action="store_true", help="print each event as one line of JSON")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Print events; with `--follow` until interrupted."""
    if options.follow:
        _follow(options)
    if options.since:
        for event in _events(options, None):
            _show(event, options)
    else:
        _show_last(options)
    return Exit.FINE


def _show_last(options: argparse.Namespace) -> None:
    """Print the last events of an hour, and say what is left out."""
    last: deque[dict[str, Any]] = deque(maxlen=_LAST)
    wanted = well = 0
    for event in _events(options, None):
        if _passed_over(event, options):
            well += 1
        elif event["kind"]:
            wanted += 1
            last.append(event)
    for event in last:
        _show(event, options)
    left_out = [f"the last {_LAST} of {wanted}"] if wanted > _LAST else []
    if well:
        left_out.append(f"without {well} successful probe{'s' if well > 1 else ''}")
    if left_out:
        print(f"fairlead events: {', '.join(left_out)}; --since 1h shows all", file=sys.stderr)


def _passed_over(event: dict[str, Any], options: argparse.Namespace) -> bool:
    """Return whether a person who did not say from when on would rather not see it: a probe that went well."""
    if options.json or options.since:
        return False
    return event["kind"] == "probe" and event["row"]["fault"] is None


def _follow(options: argparse.Namespace) -> None:
    """Print events for ever, over restarts of the daemon; raise VerbFailed only where none has ever answered."""
    last, met, told = None, False, False
    while True:
        try:
            for event in _events(options, last):
                met, told, last = True, False, event["id"] or last
                _show(event, options)
            failure = "the daemon ended the stream"
        except VerbFailed as error:
            if not met:
                raise
            failure = str(error)
        if not told:
            print(f"fairlead events: {failure}; waiting for it to come back", file=sys.stderr)
            told = True
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
    """Yield each event; one that only gives an id, where to go on, is of no kind. A torn last one is dropped."""
    fields: dict[str, str] = {}
    while line := answer.readline():
        text = line.decode().rstrip("\r\n")
        if text.startswith(":"):
            continue
        name, _, value = text.partition(": ")
        if name:
            fields[name] = value
            continue
        if fields:
            kind = fields.get("event", "") if "data" in fields else ""
            yield {"id": fields.get("id"), "kind": kind, "row": json.loads(fields.get("data", "{}"))}
        fields = {}


def _show(event: dict[str, Any], options: argparse.Namespace) -> None:
    if not event["kind"] or _passed_over(event, options):
        return
    if options.json:
        # "event", as on the wire: probes and alerts have a "kind" of their own.
        print(json.dumps({"schema": "fairlead.events/1", "id": event["id"], "event": event["kind"], **event["row"]}))
    else:
        line = f"{event['row'].get('at', '')[:19]}Z {event['kind']:<10} {_told(event['kind'], event['row'])}"
        print("".join(letter if letter.isprintable() else " " for letter in line))
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
