"""Rehearse a fallback: the next requests of a workload see a fault that no target had. Operators only."""

from __future__ import annotations

import argparse
from typing import Final

from daemon.cli.client import ask, configure_client, insist_within, print_json
from daemon.cli.exits import Exit
from state.faults import Fault

__all__ = ["configure", "run"]

_MOST_REQUESTS: Final = 1000
_MOST_ATTEMPTS: Final = 10
"""What the daemon takes; here, so that it is told in the words of the command line."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("workload", help="whose requests")
    parser.add_argument("fault", choices=[fault.value for fault in Fault], metavar="FAULT", help="such as timeout")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="how many requests [1]; 0 ends a rehearsal")
    parser.add_argument("--target", metavar="TARGET", help="only attempts at this one")
    parser.add_argument("--attempts", type=int, default=1, metavar="N", help="how many first attempts of each [1]")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Order it."""
    insist_within("--count", options.count, 0, _MOST_REQUESTS)
    insist_within("--attempts", options.attempts, 1, _MOST_ATTEMPTS)
    order = {"workload": options.workload, "fault": options.fault, "count": options.count}
    order |= {"attempts": options.attempts} | ({"target": options.target} if options.target else {})
    answer = ask(options, "POST", "/fairlead/v1/mock-fault", order)
    if options.json:
        print_json("mock-fault", answer)
    elif answer["count"]:
        print(f"the next {answer['count']} requests of {answer['workload']} will see {answer['fault']}")
    else:
        print(f"no request of {answer['workload']} will see a fault that was not there")
    return Exit.FINE
