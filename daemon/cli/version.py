"""Print the version."""

from __future__ import annotations

import argparse

from daemon.cli.client import print_json
from daemon.cli.exits import Exit
from daemon.version import VERSION

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")


def run(options: argparse.Namespace) -> Exit:
    """Print it."""
    if options.json:
        print_json("version", {"version": VERSION})
    else:
        print(f"fairlead {VERSION}")
    return Exit.FINE
