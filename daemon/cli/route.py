"""Ask which target a request would go to now, without sending one."""

from __future__ import annotations

import argparse
from urllib.parse import urlencode

from daemon.cli.client import ask, configure_client, print_json
from daemon.cli.exits import Exit
from daemon.cli.tables import render_table

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("workload", help="a workload, `auto`, provider/model or a bare model name")
    parser.add_argument("--json", action="store_true", help="print a versioned JSON object")
    configure_client(parser)


def run(options: argparse.Namespace) -> Exit:
    """Print the choice; the exit code is 1 where nothing is available."""
    route = ask(options, "GET", "/fairlead/v1/route?" + urlencode({"workload": options.workload}))
    if options.json:
        print_json("route", route)
    else:
        print(f"{route['target'] or 'nowhere'}: {route['decision']}\n")
        rows = [
            (candidate["target"], candidate.get("score"), candidate.get("skipped") or _terms(candidate["terms"]))
            for candidate in route["candidates"]
        ]
        print(render_table(("CANDIDATE", "SCORE", "BECAUSE"), rows))
    return Exit.FINE if route["target"] else Exit.FAILED


def _terms(terms: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
