"""Tell tiers from requests, against lists of words: `python -m benchmarks.complexity`."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.complexity.baselines import DECIDERS, KEYWORDS, luck
from benchmarks.complexity.prompts import Prompt, load
from benchmarks.complexity.scoring import Score, score
from benchmarks.verdict import Verdict
from daemon.routing.complexity.features import asked_of
from daemon.routing.complexity.heuristic import classify
from daemon.routing.complexity.tiers import Tier
from probes.surfaces import Surface

__all__ = ["main"]

_DRAWS: Final = 200
_MOST_MICROSECONDS: Final = 30.0
_LONG: Final = Prompt(
    prompt="Tell me, please, what we should keep of this text. " * 41, tier=Tier.SIMPLE, domain="speed"
)


def main() -> int:
    """Print every figure; return 1 where one falls short of its bound."""
    prompts = load()
    held = [prompt for prompt in prompts if prompt.held_out]
    tuned = [prompt for prompt in prompts if not prompt.held_out]
    verdict = Verdict()
    verdict.at_least("labelled prompts", len(prompts), 320)
    _compare("tuning half", tuned)
    found = _compare("held-out half", held)
    for name in ("heuristic", *KEYWORDS):
        decided = found[name]
        _confusion(name, decided)
    _bounds(verdict, found)
    _speed(verdict)
    if "--misses" in sys.argv:
        _misses(tuned)
    return verdict.close()


def _compare(half: str, prompts: Sequence[Prompt]) -> dict[str, Score]:
    """Print a row for each decider."""
    found = {name: score(prompts, decide) for name, decide in DECIDERS.items()}
    print(f"{half}: {len(prompts)} prompts")
    print(f"  {'':<14}{'right':>7}{'errors':>9}{'a query $':>11}{'bill $':>10}{'with redo $':>13}")
    for name, each in found.items():
        print(
            f"  {name:<14}{each.accuracy:>7.1%}{each.errors:>9.2f}{each.per_query:>11.3f}{each.bill:>10.4f}"
            f"{each.bill_with_redo:>13.4f}"
        )
    drawn = [score(prompts, luck(seed)) for seed in range(_DRAWS)]
    right, errors, query, bill, redo = (
        statistics.fmean(figures)
        for figures in zip(*((d.accuracy, d.errors, d.per_query, d.bill, d.bill_with_redo) for d in drawn), strict=True)
    )
    print(f"  {'luck':<14}{right:>7.1%}{errors:>9.2f}{query:>11.3f}{bill:>10.4f}{redo:>13.4f}\n")
    return found


def _confusion(name: str, decided: Score) -> None:
    print(f"  {name}, held out: needed (down) and decided (across)")
    print(f"  {'':<12}" + "".join(f"{tier:>10}" for tier in Tier))
    for needed in Tier:
        print(f"  {needed:<12}" + "".join(f"{decided.confusion[needed, tier]:>10}" for tier in Tier))


def _bounds(verdict: Verdict, found: dict[str, Score]) -> None:
    """Hold the heuristic to its bounds, on prompts that it was not tuned on."""
    own = found["heuristic"]
    for name in KEYWORDS:
        verdict.at_most(f"errors, of those of {name}", round(own.errors / found[name].errors, 3), 0.999)
        verdict.at_most(f"bill by query, of {name}", round(own.per_query / found[name].per_query, 3), 0.999)
        verdict.at_most(f"bill with redo, of {name}", round(own.bill_with_redo / found[name].bill_with_redo, 3), 0.999)
        verdict.told(f"bill by token, of {name}", round(own.bill / found[name].bill, 3))
    needed = found["as labelled"].bill
    verdict.told("bill by token, of that as labelled", round(own.bill / needed, 3))
    verdict.at_most("bill, of that of always best", round(own.bill / found["always best"].bill, 3), 0.999)


def _speed(verdict: Verdict) -> None:
    body, asked = _LONG.body(), _LONG.asked()
    verdict.at_most("us to judge 2 KB, median", _median(lambda: classify(asked)), _MOST_MICROSECONDS)
    verdict.told("us to read 2 KB, median", _median(lambda: asked_of(Surface.CHAT, body)))


def _misses(prompts: Sequence[Prompt]) -> None:
    """Print what to learn from: the tuning half alone."""
    for prompt in prompts:
        decided = classify(prompt.asked())
        if decided.tier is not prompt.tier:
            print(f"{prompt.tier} {decided.tier} {decided.score} {prompt.prompt[:110]!r} {decided.reasons}")


def _median(work: Callable[[], object]) -> float:
    """Return the median of how long `work` takes, in microseconds."""
    took = []
    for _ in range(3000):
        start = time.perf_counter_ns()
        work()
        took.append(time.perf_counter_ns() - start)
    return statistics.median(took) / 1000


if __name__ == "__main__":
    sys.exit(main())
