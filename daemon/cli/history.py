"""Look after the history: check it, back it up, prune it, export it. See docs/history.md for what is in it."""

from __future__ import annotations

import argparse
import importlib
from typing import Final

from daemon.cli.exits import Exit

__all__ = ["configure", "run"]

_ACTIONS: Final = {
    "check": "say whether the file is whole, whose it is, who may read it and what it holds",
    "backup": "copy it, whole and of one moment, while the daemon writes it",
    "prune": "delete old rows, and give their room back with --vacuum",
    "export": "write a table or what a query finds as CSV, JSON lines or Parquet",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions, each with the options of its own module."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="|".join(_ACTIONS))
    for name, words in _ACTIONS.items():
        module = importlib.import_module(f"daemon.cli.history_{name}")
        module.configure(actions.add_parser(name, help=words, description=module.__doc__))


def run(options: argparse.Namespace) -> Exit:
    """Do it."""
    return Exit(importlib.import_module(f"daemon.cli.history_{options.action}").run(options))
