"""What a configuration would have cost on recorded traffic: by what was counted, at its own prices, and no more."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from daemon.whatif.neighbours import Basis
from daemon.whatif.report import costs_rest_on, coverage, lines_of, members_of
from state.faults import Fault
from state.outcome import Usage
from tests.rigs.whatif import Go, Leg, asking, configured, simulated, written

TOKENS = Usage(1000, 100, 400)
"""At 1 and 10 dollars a million: 2,000 millionths; 600 + 200 + 1,000 where what is cached costs half."""
ONE, TWO = asking("input = 1, output = 10, cached_input = 0.5"), asking("input = 0.1, output = 1")
DEARER = asking("input = 2, output = 20, cached_input = 1")
CHARGED = 0.0018


def traffic(*, usage: Usage = TOKENS, cost_usd: float | None = CHARGED) -> list[Go]:
    """Return ten requests for `one/m`, and beside them ten of another workload for `two/m`."""
    asked = [Go(float(at), (Leg("one/m"),), cost_usd, usage=usage) for at in range(10)]
    aside = [Go(at + 0.5, (Leg("two/m"),), 0.0001, "aside", Usage(500, 50)) for at in range(10)]
    return sorted([*asked, *aside], key=lambda go: go.at)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a history of that traffic, with its costs."""
    return written(tmp_path_factory.mktemp("h") / "history.sqlite", traffic())


def test_the_same_prices_cost_the_same_and_rest_on_what_was_counted(history: Path, tmp_path: Path) -> None:
    """Cached tokens included; nothing is estimated."""
    tally = simulated(history, configured(tmp_path, one=ONE, two=TWO)).workloads["chat"]
    assert (tally.bases, tally.costs, tally.costs_estimated) == ({Basis.RECORDED: 10}, 10, 0)
    assert (tally.cost_before, tally.cost_after) == (pytest.approx(0.018), pytest.approx(0.018))
    assert costs_rest_on(tally) == "costs: 10 by the providers' own counts"


def test_new_prices_of_the_same_target_change_the_bill_and_nothing_else(history: Path, tmp_path: Path) -> None:
    """Who does not look at prices chooses as recorded: only the cost is different, and still counted."""
    tally = simulated(history, configured(tmp_path, one=DEARER, two=TWO)).workloads["chat"]
    assert (tally.bases, tally.costs_estimated) == ({Basis.RECORDED: 10}, 0)
    assert (tally.cost_before, tally.cost_after) == (pytest.approx(0.018), pytest.approx(0.036))


def test_another_target_is_charged_by_its_own_price_and_said_to_be_estimated(history: Path, tmp_path: Path) -> None:
    """The request's own counts, not its neighbour's; nobody knows what would have been cached there."""
    tally = simulated(history, configured(tmp_path, targets=["two/m"], one=ONE, two=TWO)).workloads["chat"]
    assert (tally.bases, tally.costs, tally.costs_estimated) == ({Basis.NEIGHBOURS: 10}, 10, 10)
    assert (tally.cost_before, tally.cost_after) == (pytest.approx(0.018), pytest.approx(10 * 0.0002))
    assert costs_rest_on(tally) == "costs: 10 estimated: by those counts at another target's price"
    sums = members_of(simulated(history, configured(tmp_path, targets=["two/m"], two=TWO)))["workloads"]["chat"]
    assert (sums["costs_known"], sums["costs_estimated"], sums["costs_repriced"]) == (10, 10, 0)


def test_cheapest_goes_where_the_candidates_prices_lead(history: Path, tmp_path: Path) -> None:
    """`choose` decides by the new prices, as the daemon would."""
    cheap = configured(tmp_path, strategy="cheapest", one=ONE, two=TWO)
    tally = simulated(history, cheap).workloads["chat"]
    assert (tally.first_before, tally.first_after) == ({"one/m": 10}, {"two/m": 10})
    assert tally.cost_after == pytest.approx(10 * 0.0002)
    turned = configured(tmp_path, strategy="cheapest", one=TWO, two=ONE)
    assert simulated(history, turned).workloads["chat"].first_after == {"one/m": 10}


def test_without_a_price_a_cost_is_unknown_and_left_out_of_both_sums(history: Path, tmp_path: Path) -> None:
    """An unknown cost is never 0, and no sum compares what is known with what is not."""
    tally = simulated(history, configured(tmp_path, targets=["two/m"], one=ONE)).workloads["chat"]
    assert (tally.compared, tally.costs) == (10, 0)
    assert ("cost in USD", "unknown", "unknown") in list(lines_of(tally))
    assert costs_rest_on(tally) == "of no request both costs are known: a price or a count is missing for 10"


def test_without_counts_a_cost_is_unknown_too(tmp_path: Path) -> None:
    """A price alone says nothing of a request whose tokens nobody counted; a neighbour's may stand for those."""
    blind = written(tmp_path / "history.sqlite", traffic(usage=Usage()))
    same = simulated(blind, configured(tmp_path, one=DEARER, two=TWO)).workloads["chat"]
    assert (same.compared, same.costs) == (10, 0)
    moved = simulated(blind, configured(tmp_path, targets=["two/m"], two=TWO)).workloads["chat"]
    assert (moved.costs, moved.costs_estimated) == (10, 10)
    assert moved.cost_after == pytest.approx(10 * 0.0001)


def test_where_no_cost_was_recorded_both_sides_are_counted_at_the_new_prices(tmp_path: Path) -> None:
    """A history from before there were prices still says what a change would save, and says how."""
    old = written(tmp_path / "history.sqlite", traffic(cost_usd=None))
    tally = simulated(old, configured(tmp_path, targets=["two/m"], one=ONE, two=TWO)).workloads["chat"]
    assert (tally.costs, tally.costs_repriced) == (10, 10)
    assert (tally.cost_before, tally.cost_after) == (pytest.approx(0.018), pytest.approx(0.002))
    assert "of 10 no cost was recorded, and both are counted at the new prices" in costs_rest_on(tally)


def test_a_failure_costs_nothing_and_the_answer_after_it_what_it_costs(tmp_path: Path) -> None:
    """Along the whole way: two attempts, one of which nobody charges for."""
    asked = [Go(float(at), (Leg("one/m", Fault.SERVER_ERROR),), 0.0) for at in range(10)]
    aside = [Go(at + 0.5, (Leg("two/m"),), 0.0001, "aside", Usage(500, 50)) for at in range(10)]
    path = written(tmp_path / "history.sqlite", sorted([*asked, *aside], key=lambda go: go.at))
    tally = simulated(path, configured(tmp_path, max_attempts=2, one=ONE, two=TWO)).workloads["chat"]
    assert (tally.before.failures, tally.after.failures, tally.costs) == (10, 0, 10)
    assert (tally.cost_before, tally.cost_after) == (0.0, pytest.approx(10 * 0.0001))


def test_a_cascade_is_taken_to_be_content_with_its_first_answer_and_says_so(history: Path, tmp_path: Path) -> None:
    """Without its text nobody can judge an answer: what is told is the least that it may cost."""
    findings = simulated(history, configured(tmp_path, strategy="cascade", max_attempts=2, one=ONE, two=TWO))
    tally = findings.workloads["chat"]
    assert (tally.first_after, findings.unjudged) == ({"two/m": 10}, 10)
    assert "the least that they may be" in "\n".join(coverage(findings))


SORTED = {
    "complexity": 'tiers = { simple = ["two/m"], complex = ["one/m"] }',
    "task": 'tasks = [{ name = "mail", system = "mail", targets = ["two/m"] }]',
}


@pytest.mark.parametrize(("strategy", "label"), [("complexity", "simple"), ("task", "mail")])
def test_requests_are_sorted_by_what_they_were_taken_for_and_else_unknown(
    tmp_path: Path, strategy: str, label: str
) -> None:
    """Their text is in no history: where nobody looked, nobody can tell, and the report says so."""
    labels = [label, None, "canary", "no such thing", label]
    asked = [Go(float(at), (Leg("one/m"),), CHARGED, usage=TOKENS, label=told) for at, told in enumerate(labels)]
    aside = [Go(at + 0.5, (Leg("two/m"),), 0.0001, "aside", Usage(500, 50)) for at in range(5)]
    path = written(tmp_path / "history.sqlite", sorted([*asked, *aside], key=lambda go: go.at))
    sort = configured(tmp_path, strategy=strategy, more=SORTED[strategy], one=ONE, two=TWO)
    findings = simulated(path, sort)
    tally = findings.workloads["chat"]
    assert tally.bases == {Basis.NEIGHBOURS: 2, Basis.UNKNOWN: 3}
    assert (findings.unsorted, findings.unasked, tally.first_after) == (3, {}, {"two/m": 2, None: 0})
    assert tally.cost_after == pytest.approx(2 * 0.0002)
    assert "of 3 requests nobody wrote down their tier or task" in "\n".join(coverage(findings))


def test_copies_and_own_questions_are_evidence_and_nobodys_requests(tmp_path: Path) -> None:
    """They are not asked again: the candidate has its own."""
    aside = [Go(float(at), (Leg("two/m"),), 0.1, "chat", TOKENS, "shadow") for at in range(5)]
    path = written(tmp_path / "history.sqlite", [*aside, *(go._replace(at=go.at + 9) for go in traffic())])
    tally = simulated(path, configured(tmp_path, one=ONE, two=TWO)).workloads["chat"]
    assert (tally.requests, tally.cost_before) == (10, pytest.approx(0.018))


@pytest.mark.parametrize("version", [1, 3])
def test_files_of_older_versions_are_charged_by_what_their_requests_counted(tmp_path: Path, version: int) -> None:
    """Their attempts say nothing of tokens; their requests do, without what was cached."""
    path = written(tmp_path / "history.sqlite", traffic())
    _make_older(path, version)
    tally = simulated(path, configured(tmp_path, one=ONE, two=TWO)).workloads["chat"]
    assert (tally.compared, tally.costs, tally.costs_repriced) == (10, 10, 10)
    assert (tally.cost_before, tally.cost_after) == (pytest.approx(0.02), pytest.approx(0.02))


def _make_older(path: Path, version: int) -> None:
    """Take away what came with later versions, as far as a simulation reads it."""
    newer = {"request": ["purpose", "label", "cached_tokens", "best_usd"], "attempt": ["workload", "team", "user"]}
    newer["attempt"] += ["purpose", "prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens"]
    newer["attempt"] += ["cost_usd", "cost_estimated"]
    if version == 1:
        newer["attempt"] += ["blame", "hedge"]
        newer["request"] += ["client_retry"]
    with closing(sqlite3.connect(path)) as connection:
        for (view,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'view'").fetchall():
            connection.execute(f"DROP VIEW {view}")
        connection.execute("DROP INDEX request_saving")
        for table, columns in newer.items():
            for column in columns:
                connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute("UPDATE request SET cost_usd = NULL")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()
