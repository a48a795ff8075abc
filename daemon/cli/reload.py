"""Have the daemon read its configuration again: it is put in force whole, or not at all."""

from __future__ import annotations

import argparse

from daemon.cli.client import ask, configure_client, print_json
from daemon.cli.exits import Exit

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Reload; an invalid configuration is told line by line and ends with 5."""
    answer = ask(options, "POST", "/fairlead/v1/reload")
    if options.json:
        print_json("reload", answer)
    else:
        print(f"in force: {answer['source']}")
    return Exit.FINE
