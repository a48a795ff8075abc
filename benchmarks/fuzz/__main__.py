"""200,000 foreign inputs to everything that reads what others wrote: `make fuzz`.

Each input is mutated from a real one: a captured answer, a request of every path, the example configuration, a history.
What reaches a new outcome, or a new line of the product, is mutated further. The laws: nothing is raised but what a
parser documents, nothing takes a second, twice the size takes about twice the time, memory and descriptors stay, every
answer can be parsed and has the shape of its face, and no planted secret comes out anywhere.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.fuzz.report import headed, row, told
from benchmarks.fuzz.runs import INPUTS, replayed, run, runs

__all__ = ["main"]

_WORKERS: Final = 2


def main(arguments: list[str] | None = None) -> int:
    """Run, print the table, and return 0 where nothing was found, else 1."""
    options = _options(arguments)
    if options.replay is not None:
        return replayed(options.replay)
    began = time.monotonic()
    print(f"fuzz: {options.inputs} inputs, seed {options.seed}", flush=True)
    wanted = [each for each in runs(options.inputs, options.seed) if not options.only or options.only in each.names]
    headed()
    tallies = []
    with multiprocessing.get_context("spawn").Pool(options.workers, maxtasksperchild=1) as pool:
        for found in pool.imap_unordered(run, wanted, chunksize=1):
            tallies += found
            for tally in found:
                row(tally)
    return told(tallies, options.findings, time.monotonic() - began)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=INPUTS, metavar="N", help=f"in all; {INPUTS} where left out")
    parser.add_argument("--seed", default="1", help="the same seed gives the same inputs")
    parser.add_argument("--only", metavar="SURFACE", help="one surface, or `doors` for the daemon's")
    parser.add_argument("--workers", type=int, default=_WORKERS, metavar="N", help="processes at once")
    parser.add_argument(
        "--findings", type=Path, default=Path("fuzz-findings"), metavar="FOLDER", help="gets each input"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="take one input again, named SURFACE-….bin")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
