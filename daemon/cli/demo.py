"""See it work, without a key and without a network: an outage, the fallback, the recovery, and the history."""

from __future__ import annotations

import argparse

from daemon.cli.exits import Exit
from daemon.demo import Afterwards
from daemon.demo import run as tell

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--keep", action="store_true", help="leave the daemon running and print how to talk to it")


def run(options: argparse.Namespace) -> Exit:
    """Tell the story; the exit code is 1 where it did not go as told."""
    return Exit(tell(Afterwards.KEEP if options.keep else Afterwards.STOP))
