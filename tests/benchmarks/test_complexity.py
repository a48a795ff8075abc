"""The labelled prompts, and what the comparison of classifiers promises."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.complexity.__main__ import main
from benchmarks.complexity.baselines import CLASSIFIERS
from benchmarks.complexity.prompts import Labelled, labelled
from benchmarks.complexity.scoring import ANSWERS, LADDERS, TUTORIAL, Costs, score, shares_of
from daemon.routing.complexity.features import Asked
from daemon.routing.complexity.tiers import Tier

ROWS = labelled()
LADDER = LADDERS["0.15/2.5/15"]


def _row(tier: Tier, tokens: int = 0) -> Labelled:
    return Labelled(tier, "any", "en", "tune", "", Asked(), tokens)


def test_the_set_is_large_and_holds_each_text_once() -> None:
    """Hundreds of prompts, no tier and no set without its share."""
    assert len(ROWS) >= 500
    assert [text for text, count in Counter((row.text, row.asked.schema) for row in ROWS).items() if count > 1] == []
    counts = Counter((row.split, row.tier) for row in ROWS)
    assert all(counts[split, tier] >= 15 for split in ("tune", "held-out", "fresh") for tier in Tier)
    assert len({row.language for row in ROWS}) >= 8


def test_where_a_prompt_belongs_hangs_on_its_text_alone() -> None:
    """Adding or moving prompts puts none of the others into another set."""
    found = {row.text: row.split for row in ROWS}
    assert found["How many bits are in a byte?"] == "held-out"
    assert found["Prove that there are infinitely many primes congruent to 3 mod 4."] == "held-out"
    assert 0.3 < sum(row.split == "held-out" for row in ROWS) / len(ROWS) < 0.5


def test_an_answer_from_too_small_a_model_costs_quality_and_is_paid_again() -> None:
    """One tier below is an error of 1, two are 3; above it is only money."""
    rows, costs = [_row(Tier.COMPLEX)], Costs({**dict.fromkeys(Tier, 0.0), Tier.COMPLEX: 1000.0}, LADDER, ANSWERS)
    low, middle, right = (score(rows, [tier], costs) for tier in Tier)
    assert (low.error, middle.error, right.error) == (3, 1, 0)
    assert low.mended == pytest.approx(1.2 * (0.15 + 2.5 + 15))
    assert right.mended == right.bill == pytest.approx(1.2 * 15)


def test_the_labels_are_right_and_the_best_model_is_the_dearest() -> None:
    """The two ends between which a classifier lies."""
    costs = Costs(shares_of(ROWS), LADDER, ANSWERS)
    figures = {name: score(ROWS, [one(row) for row in ROWS], costs) for name, one in CLASSIFIERS.items()}
    assert (figures["the labels"].right, figures["the labels"].error) == (pytest.approx(1), 0)
    assert max(each.bill for each in figures.values()) == figures["always best"].bill


@pytest.mark.parametrize("split", ["tune", "held-out", "fresh"])
@pytest.mark.parametrize("ladder", LADDERS)
def test_the_heuristic_beats_both_keyword_lists(split: str, ladder: str) -> None:
    """In error, in the bill and in the bill with the answers that must be asked for again, for ordinary traffic."""
    rows = [row for row in ROWS if row.split == split]
    costs = Costs(TUTORIAL, LADDERS[ladder], ANSWERS)
    ours, *lists = (
        score(rows, [CLASSIFIERS[name](row) for row in rows], costs)
        for name in ("heuristic", "keyword list A", "keyword list B")
    )
    for theirs in lists:
        assert (ours.error < theirs.error, ours.bill < theirs.bill, ours.mended < theirs.mended) == (True, True, True)


def test_the_command_lists_what_the_heuristic_gets_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever tunes looks at the tune set, with the reasons of each mistake."""
    assert main(["--wrong", "tune"]) == 0
    assert "words (" in capsys.readouterr().out
