"""Choosing by money: the cheapest, the most that is paid, an exchange rate, who pays, strategies of other packages."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.routing.leases import Choice, Preference, RouteQuery
from daemon.routing.policy import MaxPrice, Routes, Strategy, TargetPlace, Workload
from daemon.routing.selection import Load, choose
from daemon.routing.strategies.known import UnknownStrategy, strategy_named, strategy_names
from probes.policy import Dialect
from probes.surfaces import Surface
from state.latency.estimator import Estimator
from state.latency.level import Level
from state.prices import Price, expected_cost
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName, provider_of

_NOW = 1000.0
A, B, C = (TargetName(f"{name}/m") for name in "abc")
_DEAR, _FAIR, _CHEAP = Price(input=15, output=75), Price(input=2.5, output=10), Price(input=0.15, output=0.6)


def _health(target: TargetName, first_s: float = 1.0, **more: object) -> TargetHealth:
    level = Level(math.log(first_s), variance=0.0, tail=1.0, at=_NOW, count=9)
    estimator = Estimator(first=level, pace=Level(math.log(1e-9), variance=0.0, at=_NOW, count=9))
    return TargetHealth(**{"target": target, "standing": Standing.HEALTHY, "estimator": estimator, **more})


def _choose(
    prices: Mapping[TargetName, Price | None], workload: Workload, *healths: TargetHealth, **more: object
) -> Choice:
    places = {
        target: TargetPlace(
            provider=provider_of(target),
            dialect=Dialect.OPENAI,
            max_in_flight=2,
            price=prices.get(target),
            billing=str(more.pop(f"billing_{provider_of(target)}", "")),
        )
        for target in (A, B, C)
    }
    known = {target: _health(target) for target in (A, B, C)} | {health.target: health for health in healths}
    query = RouteQuery(**{"request_id": "r", "workload": workload, "surface": Surface.CHAT, "tokens": 1000, **more})
    routes = Routes(workloads={workload.name: workload}, places=places)
    return choose(query, routes, HealthSnapshot(targets=known), Load({}, {}), _NOW)


def _workload(strategy: str = Strategy.CHEAPEST, **more: object) -> Workload:
    return Workload(**{"name": "w", "targets": (A, B, C), "strategy": strategy, **more})


_ALL = {A: _DEAR, B: _CHEAP, C: _FAIR}


def test_the_cheapest_that_is_available_is_chosen() -> None:
    """Law: price alone decides, however slow, among those that can take the request; the reason says how much."""
    choice = _choose(_ALL, _workload(), _health(B, 9.0))
    assert choice.chosen == B
    assert choice.reason.startswith("cheapest, $0.000")
    assert _choose(_ALL, _workload(), _health(B, drained=True)).chosen == C


def test_an_unknown_price_is_never_cheap() -> None:
    """Law: unknown is not nothing: every target of known price comes before."""
    assert _choose({A: _DEAR}, _workload()).chosen == A
    choice = _choose({}, _workload(), _health(C, 0.1))
    assert (choice.chosen, choice.reason) == (C, "no price is known; lowest latency")


def test_of_targets_that_cost_the_same_the_quicker_is_chosen() -> None:
    """Law: where money says nothing, time does."""
    assert _choose({A: _FAIR, B: _FAIR, C: _DEAR}, _workload(), _health(A, 2.0), _health(B, 0.5)).chosen == B


@given(st.permutations([_DEAR, _FAIR, _CHEAP, None]), st.integers(0, 100_000))
def test_nothing_cheaper_is_ever_passed_over(prices: list[Price | None], tokens: int) -> None:
    """Law: whatever the prices and the length, no available target would have been expected to cost less."""
    known = dict(zip((A, B, C), prices, strict=False))
    choice = _choose(known, _workload(), tokens=tokens)
    costs = {
        target: expected_cost(price, tokens, choice.answer_tokens)
        for target, price in known.items()
        if price is not None
    }
    assert costs[choice.chosen] == min(costs.values())


def test_money_may_count_as_time() -> None:
    """Law: with an exchange rate the quick and dear target is left once its price outweighs what it saves."""
    quick = (_health(A, 0.2), _health(B, 1.2))
    assert _choose(_ALL, _workload(Strategy.LOWEST_LATENCY, seconds_per_dollar=0.0), *quick).chosen == A
    choice = _choose(_ALL, _workload(Strategy.LOWEST_LATENCY, seconds_per_dollar=1000.0), *quick)
    assert choice.chosen == B
    assert "least time and money" in choice.reason
    own = next(candidate for candidate in choice.candidates if candidate.target == A)
    assert own.score == pytest.approx(own.terms["expected_s"] + own.terms["cost_usd"] * 1000.0, rel=1e-3)


def test_who_asks_more_than_the_most_is_skipped_and_says_so() -> None:
    """Law: `max_price` holds for input and output each, and an unknown price is not known to be within it."""
    choice = _choose({A: _DEAR, B: None, C: _FAIR}, _workload(max_price=MaxPrice(input=3)))
    assert choice.chosen == C
    skipped = {candidate.target: candidate.skipped for candidate in choice.candidates}
    assert "more than max_price" in skipped[A]
    assert "not known" in skipped[B]
    assert _choose(_ALL, _workload(max_price=MaxPrice(output=0.1))).chosen is None


def test_where_money_is_short_the_cheapest_is_taken_whatever_the_strategy() -> None:
    """Law: a soft limit overrides the order, and nothing else."""
    assert _choose(_ALL, _workload(Strategy.PRIORITY)).chosen == A
    assert _choose(_ALL, _workload(Strategy.LOWEST_LATENCY), _health(A, 0.1), frugal=True).chosen == B


def test_a_target_that_money_is_too_short_for_is_not_passed_over() -> None:
    """Law: what a limit wants is no fallback, and the choice says what it was made by."""
    choice = _choose(_ALL, _workload(Strategy.PRIORITY), frugal=True)
    assert (choice.chosen, choice.primary) == (B, B)
    assert choice.reason.startswith("a limit is nearly used up; cheapest, $")


def test_another_account_does_not_pay_unasked() -> None:
    """Law: where one billing group may pay, targets of others are skipped for it."""
    choice = _choose(_ALL, _workload(), billing="own", billing_a="own", billing_b="other")
    assert choice.chosen == A
    assert any("cross_billing" in candidate.skipped for candidate in choice.candidates)


def test_what_the_request_is_comes_before_every_score() -> None:
    """Law: a later group is taken only where nobody of an earlier one can, as a fallback from there."""
    preference = Preference(groups=((C,), (A,)), label="complex", why="complex (asks for a proof)")
    assert _choose(_ALL, _workload(Strategy.COMPLEXITY), _health(C, 9.0), preference=preference).chosen == C
    choice = _choose(_ALL, _workload(Strategy.COMPLEXITY), _health(C, drained=True), preference=preference)
    assert (choice.chosen, choice.primary) == (A, C)
    whole = _choose(_ALL, _workload(Strategy.COMPLEXITY), preference=preference)
    assert whole.reason.startswith("complex (asks for a proof); ")


def test_a_strategy_of_another_package_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: a team adds its own by an entry point, and a name that nobody brings is told as such."""
    (tmp_path / "teams_own.py").write_text(
        "class Last:\n"
        "    def scored(self, contenders, moment):\n"
        "        return [(-float(c.index), {'place': float(c.index)}) for c in contenders]\n"
        "    def reason(self, terms):\n"
        "        return 'the last of them'\n"
    )
    info = tmp_path / "teams_own-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: teams-own\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[fairlead.strategies]\nlast-first = teams_own:Last\nbroken = teams_own:Gone\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert {"last-first", "broken", "cheapest"} <= set(strategy_names())
        choice = _choose({}, _workload("last-first"))
        assert (choice.chosen, choice.reason) == (C, "the last of them")
        with pytest.raises(UnknownStrategy, match="cannot be loaded"):
            strategy_named("broken")
        with pytest.raises(UnknownStrategy, match="no strategy nobody"):
            strategy_named("nobody")
    finally:
        sys.modules.pop("teams_own", None)
