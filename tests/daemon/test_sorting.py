"""Sorting requests: by tier, by task, by a draw, and what the targets that stand behind are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.routing.complexity.tiers import Classified, Tier
from daemon.routing.leases import Preference, RouteQuery
from daemon.routing.policy import Routes, Strategy, TargetPlace, Workload
from daemon.routing.selection import Load, choose
from daemon.routing.sorting.again import sorted_as, unseen
from daemon.routing.sorting.drawing import CANARY, canaried, drawn, routed
from daemon.routing.sorting.policy import Canary, Task, Tiers
from daemon.routing.sorting.tasks import Signs, by_task
from daemon.routing.sorting.tiers import by_tier, unseen_tier
from probes.policy import Dialect
from probes.surfaces import Surface
from state.standing import HealthSnapshot, Standing, TargetHealth
from state.targets import TargetName, provider_of

A, B, C, D = (TargetName(f"{name}/m") for name in "abcd")
TIERS = Tiers(simple=(A,), moderate=(B,), complex=(C,))
TASKS = (
    Task(name="summarize", header="summarize", targets=(A,)),
    Task(name="tickets", system=r"(?i)support agent", tool="open_ticket", targets=(B,)),
    Task(name="", targets=(C,)),
)


def _classified(tier: Tier) -> Classified:
    return Classified(tier=tier, score=0.0, reasons=("asks for a definition -1.0",))


def _chosen(workload: Workload, preference: Preference, *away: TargetName):  # noqa: ANN202
    standing = {True: Standing.COOLING, False: Standing.HEALTHY}
    healths = {each: TargetHealth(target=each, standing=standing[each in away], until=9e9) for each in (A, B, C, D)}
    places = {
        each: TargetPlace(provider=provider_of(each), dialect=Dialect.OPENAI, max_in_flight=9) for each in (A, B, C, D)
    }
    query = RouteQuery(
        request_id="r", workload=routed(workload, preference), surface=Surface.CHAT, preference=preference
    )
    return choose(query, Routes(workloads={}, places=places), HealthSnapshot(targets=healths), Load({}, {}), 1000.0)


@pytest.mark.parametrize(
    ("tier", "order"),
    [(Tier.SIMPLE, (A, B, C)), (Tier.MODERATE, (B, C, A)), (Tier.COMPLEX, (C, B, A))],
)
def test_a_tier_comes_first_then_those_above_it_then_those_below(tier: Tier, order: tuple[TargetName, ...]) -> None:
    """Law: a request goes to who is too strong before it goes to who is too weak, the nearest first."""
    workload = Workload(name="w", targets=(A, B, C), strategy=Strategy.COMPLEXITY.value, tiers=TIERS)
    preference = by_tier(TIERS, _classified(tier))
    assert preference.label == tier
    for away in range(3):
        choice = _chosen(workload, preference, *order[:away])
        assert (choice.chosen, choice.primary) == (order[away], order[0])


def test_the_reason_of_a_choice_says_for_what_and_why() -> None:
    """Law: what the request was taken for stands first; where its tier is passed over, that does."""
    workload = Workload(name="w", targets=(A, B, C), strategy=Strategy.COMPLEXITY.value, tiers=TIERS)
    preference = by_tier(TIERS, _classified(Tier.SIMPLE))
    assert _chosen(workload, preference).reason.startswith("simple (asks for a definition -1.0); ")
    reason = _chosen(workload, preference, A).reason
    assert reason.startswith("a/m is passed over: cooling")
    assert reason.endswith("simple (asks for a definition -1.0)")


def test_a_tier_without_targets_leaves_its_requests_to_the_next_one_above() -> None:
    """Two tiers do; the choice is then no fallback."""
    tiers = Tiers(simple=(A,), complex=(C,))
    workload = Workload(name="w", targets=(A, C), strategy=Strategy.COMPLEXITY.value, tiers=tiers)
    choice = _chosen(workload, by_tier(tiers, _classified(Tier.MODERATE)))
    assert (choice.chosen, choice.primary) == (C, C)
    assert unseen_tier(tiers).groups[0] == (C,)


@pytest.mark.parametrize(
    ("signs", "label", "target"),
    [
        (Signs(header="Summarize "), "summarize", A),
        (Signs(system="You are a Support Agent.", tools=frozenset({"open_ticket"})), "tickets", B),
        (Signs(system="You are a support agent."), "", C),
        (Signs(tools=frozenset({"open_ticket"})), "", C),
        (Signs(system=" " * 5000 + "support agent", tools=frozenset({"open_ticket"})), "", C),
        (Signs(), "", C),
    ],
)
def test_the_first_task_whose_conditions_are_all_met_is_the_requests(
    signs: Signs, label: str, target: TargetName
) -> None:
    """Law: header, system prompt and tool; what is far down in a prompt is not looked at."""
    workload = Workload(name="w", targets=(C, A, B), strategy=Strategy.TASK.value, tasks=TASKS)
    preference = by_task(TASKS, signs)
    assert (preference.label, _chosen(workload, preference).chosen) == (label, target)


def test_a_request_without_a_task_has_no_preference() -> None:
    """Law: it goes by the workload's own targets."""
    assert by_task(TASKS[:2], Signs()) == Preference()


@given(st.text(max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_draws_all_that_a_smaller_one_does(key: str, one: float, other: float) -> None:
    """Law: who was drawn stays drawn, however often it is asked, and when the share grows."""
    smaller, larger = sorted((one, other))
    assert not drawn(smaller, key, CANARY) or drawn(larger, key, CANARY)
    assert drawn(1.0, key, CANARY)
    assert not drawn(0.0, key, CANARY)


def test_a_share_is_about_that_share_of_the_requests() -> None:
    """Law: of 20,000 ids in a row, 1,000 within four standard deviations; each purpose draws for itself."""
    ids = [f"req_0011aabbccdd{serial:012x}" for serial in range(20_000)]
    canaries = {each for each in ids if drawn(0.05, each, CANARY)}
    shadows = {each for each in ids if drawn(0.05, each, "shadow")}
    assert abs(len(canaries) - 1000) < 125
    assert len(canaries & shadows) < 100


def test_a_candidate_answers_those_it_was_drawn_for_and_nobody_else() -> None:
    """Law: drawn it is first, and its failure a fallback; not drawn it is not there, and nothing is a fallback."""
    canary = Canary(target=D, share=0.5)
    workload = Workload(name="w", targets=(A, B, C), strategy=Strategy.PRIORITY.value, canary=canary)
    yes = canaried(canary, Preference())
    assert (_chosen(workload, yes).chosen, yes.label) == (D, "canary")
    passed = _chosen(workload, yes, D)
    assert (passed.chosen, passed.primary) == (A, D)
    no = _chosen(workload, Preference())
    assert (no.chosen, no.primary) == (A, A)
    assert {candidate.target for candidate in no.candidates} == {A, B, C}


def test_a_candidate_stands_before_the_tier_of_a_request() -> None:
    """Law: where it fails the request goes by its tier."""
    canary = Canary(target=D, share=0.5)
    workload = Workload(
        name="w", targets=(A, B, C), strategy=Strategy.COMPLEXITY.value, tiers=TIERS, canary=canary, weights=()
    )
    preference = canaried(canary, by_tier(TIERS, _classified(Tier.COMPLEX)))
    assert [_chosen(workload, preference, *away).chosen for away in ((), (D,), (D, C))] == [D, C, B]


def test_routing_makes_one_workload_for_all_that_are_drawn() -> None:
    """Law: what is recorded of a choice is packed once, so the same object comes back; weights fit the targets."""
    canary = Canary(target=D, share=0.5)
    workload = Workload(name="w", targets=(A, B), strategy=Strategy.WEIGHTED.value, weights=(1, 2), canary=canary)
    preference = canaried(canary, Preference())
    assert routed(workload, preference) is routed(workload, preference)
    assert _chosen(workload, preference).chosen == D
    assert routed(workload, Preference()) is workload


@given(st.sampled_from(Tier))
def test_another_configuration_goes_by_what_a_request_was_taken_for(tier: Tier) -> None:
    """Law: the tier stays, its targets are those of the other; what was never sorted is in the middle."""
    other = Tiers(simple=(D,), moderate=(A,), complex=(B,))
    workload = Workload(name="w", targets=(D, A, B), strategy=Strategy.COMPLEXITY.value, tiers=other)
    assert sorted_as(workload, by_tier(TIERS, _classified(tier))) == by_tier(other, _classified(tier))
    assert sorted_as(workload, Preference()) == unseen(workload) == unseen_tier(other)
    tasks = Workload(name="w", targets=(A, B, C), strategy=Strategy.TASK.value, tasks=TASKS)
    assert sorted_as(tasks, by_task(TASKS, Signs(header="summarize"))).groups == ((A,),)
    assert sorted_as(tasks, Preference(label="gone")).groups == ((C,),)
