"""How the figures are printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.complexity.prompts import Labelled
from benchmarks.complexity.scoring import Score
from daemon.routing.complexity.heuristic import classify
from daemon.routing.complexity.tiers import Tier

__all__ = ["matrix", "table", "wrong"]

_BEST = "always best"


def matrix(rows: Sequence[Labelled], chosen: Sequence[Tier]) -> Iterator[str]:
    """Yield the confusion matrix: a line for each label, a column for each choice."""
    found = Counter((row.tier, tier) for row, tier in zip(rows, chosen, strict=True))
    yield f"{'labelled':>12} " + "".join(f"{'-> ' + tier:>13}" for tier in Tier)
    for needed in Tier:
        yield f"{needed:>12} " + "".join(f"{found[needed, tier]:>13}" for tier in Tier)


def table(mix: str, ladders: Sequence[str], scores: Sequence[Mapping[str, Score]]) -> Iterator[str]:
    """Yield a line for each classifier: how often it is right, its error, and its bills by each list of prices."""
    yield f"\n  {mix:<22}{'right':>7}{'error':>7}" + "".join(
        f"  {'$ by ' + name:>17}{'mended':>15}" for name in ladders
    )
    for name, first in scores[0].items():
        bills = [
            f"{each[name].bill:>9.2f} {1 - each[name].bill / each[_BEST].bill:>7.0%}"
            f"{each[name].mended:>9.2f} {1 - each[name].mended / each[_BEST].mended:>7.0%}"
            for each in scores
        ]
        yield f"  {name:<22}{first.right:>7.1%}{first.error:>7.3f}" + "".join(bills)


def wrong(rows: Sequence[Labelled]) -> Iterator[str]:
    """Yield what the heuristic gets wrong, with its reasons."""
    for row in rows:
        found = classify(row.asked)
        if found.tier is not row.tier:
            yield f"{row.tier} -> {found.tier} {found.score:+g}  {row.text[:110]!r}\n    {'; '.join(found.reasons)}"
