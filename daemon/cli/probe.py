"""Check a target now and print what came of it. `canary` costs a few tokens."""

from __future__ import annotations

import argparse

from daemon.cli.client import ask, configure_client, print_json, target_url
from daemon.cli.exits import Exit

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("target", help="as provider/model")
    parser.add_argument("--kind", choices=("liveness", "catalog", "canary"), default="catalog")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Print the outcome; the exit code is 1 where the probe failed."""
    outcome = ask(options, "POST", target_url(options.target, "probe"), {"kind": options.kind})
    if options.json:
        print_json("probe", outcome)
    else:
        result = "ok" if outcome["ok"] else f"{outcome['fault']}: {outcome['reason']}"
        print(f"{outcome['target']} {outcome['kind']}: {result}, {outcome['latency_ms']:.0f} ms")
    return Exit.FINE if outcome["ok"] else Exit.FAILED
