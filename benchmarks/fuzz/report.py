"""The table of a run, and a file for each finding."""

from __future__ import annotations

import hashlib
from pathlib import Path

from benchmarks.fuzz.surface import Tally

__all__ = ["headed", "row", "told"]


def headed() -> None:
    """Print the head of the table."""
    print(
        f"{'surface':<20}{'inputs':>8}{'outcomes':>9}{'lines':>7}{'slowest':>10}{'MB at 20/60/100 %':>21}"
        f"{'findings':>9}"
    )


def row(tally: Tally) -> None:
    """Print what a run over one surface came to."""
    memory = "/".join(f"{each:.0f}" for each in tally.memory_mb)
    counts = f"{tally.inputs:>8}{len(tally.outcomes):>9}{tally.lines or '':>7}{tally.slowest_s * 1e3:>7.0f} ms"
    print(f"{tally.name:<20}{counts}{memory:>21}{len(tally.findings):>9}{tally.took_s:>7.0f} s", flush=True)


def told(tallies: list[Tally], folder: Path, took_s: float) -> int:
    """Print the sum and each finding, write their inputs to `folder`, and return the exit code."""
    inputs, found = sum(tally.inputs for tally in tallies), sum(len(tally.findings) for tally in tallies)
    print(f"{inputs} inputs in {took_s:.0f} s, {found} findings")
    for tally in tallies:
        for finding in tally.findings:
            print(f"\n{tally.name}: {finding.law}\n  {_written(tally.name, finding.data, folder)}")
    return 1 if found else 0


def _written(surface: str, data: bytes, folder: Path) -> str:
    if not data:
        return "no single input"
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(data).hexdigest()[:12]
    file = folder / f"{surface.replace(' ', '_')}--{digest}.bin"
    file.write_bytes(data)
    return f"python -m benchmarks.fuzz --replay {file}"
