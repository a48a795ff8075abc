"""Tell the daemon how a call went that you made yourself: it counts like one of its own."""

from __future__ import annotations

import argparse
from typing import Final

from daemon.cli.client import ask, configure_client, insist_within, print_json
from daemon.cli.exits import Exit
from state.faults import Fault

__all__ = ["configure", "run"]

_LONGEST_MS: Final = 86_400_000
_LEAST_STATUS: Final = 100
_MOST_STATUS: Final = 599
"""What the daemon takes; here, so that it is told in the words of the command line."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("target", help="as provider/model")
    ending = parser.add_mutually_exclusive_group(required=True)
    ending.add_argument("--ok", action="store_true", help="it answered")
    ending.add_argument("--fault", choices=[fault.value for fault in Fault], metavar="KIND", help="how it failed")
    parser.add_argument("--latency-ms", type=float, required=True, metavar="N", help="how long it took")
    parser.add_argument("--status", type=int, metavar="CODE", help="the provider's HTTP status")
    parser.add_argument("--reason", default="", help="one line for the history")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Report it."""
    insist_within("--latency-ms", options.latency_ms, 0, _LONGEST_MS)
    if options.status is not None:
        insist_within("--status", options.status, _LEAST_STATUS, _MOST_STATUS)
    report = {"target": options.target, "latency_ms": options.latency_ms, "reason": options.reason}
    report |= {"ok": True} if options.ok else {"fault": options.fault}
    if options.status is not None:
        report["status"] = options.status
    answer = ask(options, "POST", "/fairlead/v1/report", report)
    if options.json:
        print_json("report", answer)
    else:
        print(f"reported {answer['fault'] or 'a success'} of {answer['target']} as {answer['request_id']}")
    return Exit.FINE
