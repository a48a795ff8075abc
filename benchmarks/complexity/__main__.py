"""Compare classifiers of difficulty on labelled prompts: `python -m benchmarks.complexity`."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from benchmarks.complexity.baselines import CLASSIFIERS, random_tier
from benchmarks.complexity.prompts import SPLITS, Labelled, labelled
from benchmarks.complexity.report import matrix, table, wrong
from benchmarks.complexity.scoring import ANSWERS, LADDERS, TUTORIAL, Answers, Costs, Score, mean, score, shares_of
from benchmarks.complexity.timing import lines_of_timing
from daemon.routing.complexity.tiers import Tier

__all__ = ["main"]

_DRAWS: Final = 200
"""How often luck is tried: its figures are the mean."""
_LISTS: Final = ("keyword list A", "keyword list B")
_OURS: Final = ("heuristic", "heuristic, thrifty")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; return 1 where a keyword list is as good in any, its bill below that of the labels aside."""
    asked = _parser().parse_args(arguments)
    rows = labelled()
    if asked.wrong:
        print("\n".join(wrong([row for row in rows if row.split == asked.wrong])))
        return 0
    answers = dict(zip(Tier, map(int, asked.answers.split(",")), strict=True))
    lines = [line for split in SPLITS for line in _told(split, [row for row in rows if row.split == split], answers)]
    print("\n".join([*lines, "", *lines_of_timing()]))
    return int(any("NOT BEATEN" in line for line in lines))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.complexity", description=__doc__)
    default = ",".join(str(tokens) for tokens in ANSWERS.values())
    parser.add_argument("--answers", default=default, metavar="S,M,C", help=f"tokens of an answer by tier ({default})")
    parser.add_argument("--wrong", choices=SPLITS, help="only list what the heuristic gets wrong in one set")
    return parser


def _told(split: str, rows: Sequence[Labelled], answers: Answers) -> Iterator[str]:
    """Yield what is to be said of one set: the matrix, the figures as the set is, and those of an application."""
    if not rows:
        return
    chosen = {name: [classifier(row) for row in rows] for name, classifier in CLASSIFIERS.items()}
    yield f"\n{split}: {len(rows)} prompts"
    yield from matrix(rows, chosen["heuristic"])
    for mix, shares in {"1,000 as in the set": shares_of(rows), "700 + 200 + 100": TUTORIAL}.items():
        costs = [Costs(shares, ladder, answers) for ladder in LADDERS.values()]
        scores = [_scores(rows, chosen, cost) for cost in costs]
        yield from table(mix, list(LADDERS), scores)
        yield from (f"    {ours}: {_verdict(ours, scores)}" for ours in _OURS)


def _scores(rows: Sequence[Labelled], chosen: Mapping[str, Sequence[Tier]], costs: Costs) -> dict[str, Score]:
    """Return the figures of each classifier, and of luck."""
    scores = {name: score(rows, tiers, costs) for name, tiers in chosen.items()}
    draws = []
    for seed in range(_DRAWS):
        luck = random_tier(random.Random(seed))  # noqa: S311 - luck is no secret
        draws.append(score(rows, [luck(row) for row in rows], costs))
    return {**scores, "random": mean(draws)}


def _verdict(ours: str, scores: Sequence[Mapping[str, Score]]) -> str:
    """Say in which figures a keyword list is at least as good, by either of the prices.

    A bill below that of the labels themselves is told apart: nobody comes to it who sends no request too low.
    """
    lost = _lost(ours, scores)
    excused = lost & _lost("the labels", scores)
    said = [f"NOT BEATEN: {', '.join(sorted(lost - excused))}"] if lost - excused else []
    said += [f"dearer than {', '.join(sorted(excused))}, and so are the labels"] if excused else []
    return "; ".join(said) or "both lists are beaten in error, bill and mended bill"


def _lost(ours: str, scores: Sequence[Mapping[str, Score]]) -> set[str]:
    return {
        f"the {figure} of {name}"
        for each in scores
        for name in _LISTS
        for figure in ("error", "bill", "mended bill")
        if getattr(each[ours], figure.split()[0]) >= getattr(each[name], figure.split()[0])
    }


if __name__ == "__main__":
    sys.exit(main())
