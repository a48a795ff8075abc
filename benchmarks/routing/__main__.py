"""Compare routing policies by simulation: `python -m benchmarks.routing`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final, NoReturn

from benchmarks.routing.plot import picture
from benchmarks.routing.policies import POLICIES
from benchmarks.routing.report import as_json, table
from benchmarks.routing.scoring import Run, compare
from benchmarks.routing.trace import Scale, Trace, TraceError, load
from benchmarks.routing.wild import wild_trace

__all__ = ["main"]

_WORKERS: Final = 2
_TRACES: Final = Path(__file__).resolve().parents[2].parent / "shared" / "traces"
_INTERRUPTED: Final = 130
"""What a shell calls a command that ended by Ctrl-C."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and return 0; 2 where the input is wrong."""
    asked = _parser().parse_args(arguments)
    try:
        policies, files = _sorted_out(asked.policy or list(POLICIES), asked.traces)
        scale = Scale(noise=asked.noise, tails=asked.tails, load=asked.load)
        traces = [wild_trace(number, scale) for number in range(1, (asked.wild or 0) + 1)]
        traces += [load(file, scale) for file in files or ([] if traces else _default_traces())]
        _check_picture(asked.plot)
    except TraceError as error:
        print(f"benchmarks.routing: {error}", file=sys.stderr)
        return 2
    try:
        runs = _compared(traces, asked.seeds, policies)
    except KeyboardInterrupt:
        print("benchmarks.routing: interrupted", file=sys.stderr)
        return _INTERRUPTED
    rows = [row for run in runs for row in run.rows]
    print(as_json(rows) if asked.json else table(rows))
    if asked.plot:
        asked.plot.write_text(picture([run for run in runs if run.seed == 1]), encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m benchmarks.routing", description=__doc__)
    parser.add_argument(
        "traces", nargs="*", type=Path, metavar="TRACE.json", help=f"all in {_TRACES} where none is named"
    )
    parser.add_argument("--seeds", type=_count, default=3, metavar="N", help="run with the seeds 1 to N (3)")
    parser.add_argument("--policy", action="extend", nargs="+", metavar="NAME", help=f"only of {', '.join(POLICIES)}")
    parser.add_argument("--wild", type=_count, metavar="N", help="random traces 1 to N instead of those in files")
    parser.add_argument("--json", action="store_true", help="print every run as JSON instead of a table of means")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="also draw the choices over time, of seed 1")
    parser.add_argument("--noise", type=_factor, default=1.0, metavar="X", help="multiply every sigma of a first token")
    parser.add_argument("--tails", type=_factor, default=1.0, metavar="X", help="multiply every tail_x")
    parser.add_argument("--load", type=_factor, default=1.0, metavar="X", help="multiply the arrivals")
    return parser


def _sorted_out(names: list[str], files: list[Path]) -> tuple[list[str], list[Path]]:
    """Return policies and files: `--policy fairlead trace.json` means one of each."""
    traces = [Path(name) for name in names if name.endswith(".json")]
    policies = [name for name in names if not name.endswith(".json")]
    for name in policies:
        if name not in POLICIES:
            _parser().error(f"there is no policy {name!r}; there are {', '.join(POLICIES)}")
    return policies or list(POLICIES), [*files, *traces]


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _factor(text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return factor


def _default_traces() -> list[Path]:
    files = sorted(_TRACES.glob("*.json"))
    if not files:
        raise TraceError(f"there are no traces in {_TRACES}: name some")
    return files


def _check_picture(file: Path | None) -> None:
    """Find out before minutes of work that the picture could not be written."""
    if file and not file.parent.is_dir():
        raise TraceError(f"{file}: there is no folder {file.parent}")


def _compared(traces: Sequence[Trace], seeds: int, policies: Sequence[str]) -> list[Run]:
    """Return one run for each trace and seed, in that order."""
    pairs = [(trace, seed) for trace in traces for seed in range(1, seeds + 1)]
    workers = ProcessPoolExecutor(_WORKERS, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_DFL))
    try:
        futures = [workers.submit(compare, trace, seed, policies) for trace, seed in pairs]
        return [future.result() for future in futures]
    finally:
        workers.shutdown(cancel_futures=True)


if __name__ == "__main__":
    sys.exit(main())
