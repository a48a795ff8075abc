"""What comes after a failed attempt: a pure table of the fault, the workload's rules, and what the client allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.routing.chain import SHORT_HINT_S, Onward, Situation, Stop, next_step
from daemon.routing.policy import Workload
from state.durations import Seconds
from state.faults import DEFAULT_FALLBACK_ON, ENTITLEMENT, FAULT_RULES, FallbackUse, Fault, Retry
from state.outcome import Outcome
from state.targets import TargetName

TARGETS = (TargetName("a/m"), TargetName("b/m"))


def _workload(**more: object) -> Workload:
    return Workload(**{"name": "w", "targets": TARGETS, **more})


def _situation(fault: Fault | None, hint: float | None = None, **more: object) -> Situation:
    base = {"attempts": 1, "fallback_allowed": True, "now": 0.0, "deadline": 9.0}
    return Situation(**{"outcome": Outcome(fault=fault, retry_after_s=hint), **base, **more})


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_falls_back_by_default_exactly_where_its_rule_says_so(fault: Fault) -> None:
    """The boundary between what another target can mend and what it cannot is one table."""
    step = next_step(_workload(), _situation(fault))
    assert isinstance(step, Onward) == (FAULT_RULES[fault].fallback is FallbackUse.BY_DEFAULT)


def test_a_named_fault_falls_back_and_a_forbidden_one_never_does() -> None:
    """A workload may name what is a matter of entitlement, and nothing that is the client's own."""
    everything = _workload(fallback_on=tuple(Fault))
    assert isinstance(next_step(everything, _situation(Fault.AUTH)), Onward)
    assert isinstance(next_step(everything, _situation(Fault.INVALID_REQUEST)), Stop)
    assert isinstance(next_step(everything, _situation(Fault.CUT)), Stop)


@pytest.mark.parametrize("limit", [{"attempts": 3}, {"fallback_allowed": False}, {"now": 9.0}])
def test_attempts_the_clients_word_and_its_deadline_end_the_chain(limit: dict[str, object]) -> None:
    """A request never outlives what bounds it."""
    assert isinstance(next_step(_workload(), _situation(Fault.TIMEOUT, **limit)), Stop)


@pytest.mark.parametrize("fault", sorted(ENTITLEMENT))
def test_a_workload_that_requires_its_entitlement_shows_every_refusal(fault: Fault) -> None:
    """403 is shown, never papered over, even where somebody named it."""
    workload = _workload(fallback_on=tuple(Fault), require_entitlement=True)
    assert isinstance(next_step(workload, _situation(fault)), Stop)


@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED, Fault.QUOTA])
def test_the_backoff_comes_before_a_fallback_on_a_limit_and_before_no_other(fault: Fault) -> None:
    """Back off first, then fall back: only where the provider said that there is no room."""
    workload = _workload(backoff=Seconds(0.5))
    assert next_step(workload, _situation(fault)).pause_s == 0.5
    assert next_step(workload, _situation(Fault.TIMEOUT)).pause_s == 0.0


def test_nobody_waits_until_there_is_no_time_left_to_ask() -> None:
    """A pause, the workload's or the one that the target asked for, that would use the deadline up is none."""
    slow = _workload(backoff=Seconds(2))
    assert isinstance(next_step(slow, _situation(Fault.RATE_LIMITED, now=6.9)), Onward)
    assert "backoff" in next_step(slow, _situation(Fault.RATE_LIMITED, now=7.0)).reason
    assert isinstance(next_step(slow, _situation(Fault.TIMEOUT, now=7.0)), Onward)
    alone = _workload(fallback_on=())
    assert isinstance(next_step(alone, _situation(Fault.OVERLOADED, 1.5, now=7.0, repeatable=True)), Onward)
    assert isinstance(next_step(alone, _situation(Fault.OVERLOADED, 1.5, now=8.0, repeatable=True)), Stop)


def test_a_workload_without_fallbacks_may_still_ask_its_target_again() -> None:
    """A paid tier never leaves its model; once more at the same one is no fallback."""
    step = next_step(_workload(fallback_on=()), _situation(Fault.SERVER_ERROR, repeatable=True))
    assert isinstance(step, Onward)
    assert (step.elsewhere, step.again) == (False, True)


@pytest.mark.parametrize(("hint", "again"), [(None, False), (SHORT_HINT_S, True), (SHORT_HINT_S + 0.1, False)])
def test_a_rate_limit_is_waited_for_only_where_its_hint_is_short(hint: float | None, again: bool) -> None:  # noqa: FBT001
    """Nobody sleeps through a minute at a target that said a minute."""
    step = next_step(_workload(), _situation(Fault.RATE_LIMITED, hint, repeatable=True))
    assert isinstance(step, Onward)
    assert step.again is again


@given(
    fault=st.sampled_from(Fault),
    named=st.lists(st.sampled_from(Fault), unique=True),
    attempts=st.integers(1, 5),
    repeatable=st.booleans(),
    allowed=st.booleans(),
    now=st.floats(0, 20),
)
def test_no_situation_leads_where_the_rules_do_not(fault: Fault, named: list[Fault], **situation: object) -> None:
    """Elsewhere only on a named fault that may, again only on one that a repetition helps, never beyond the bounds."""
    situation["fallback_allowed"] = situation.pop("allowed")
    step = next_step(_workload(fallback_on=tuple(named)), _situation(fault, 1.0, **situation))
    if isinstance(step, Stop):
        return
    assert situation["attempts"] < 3
    assert situation["now"] < 9.0
    assert step.elsewhere or step.again
    if step.elsewhere:
        assert fault in named
        assert FAULT_RULES[fault].fallback is not FallbackUse.NEVER
        assert situation["fallback_allowed"]
    if step.again:
        assert situation["repeatable"]
        assert FAULT_RULES[fault].retry is Retry.ALONE


def test_the_default_is_the_contracts() -> None:
    """These words, and no others, are what users find documented."""
    assert [fault.value for fault in DEFAULT_FALLBACK_ON] == (
        ["unreachable", "timeout", "overloaded", "server_error", "bad_reply", "rate_limited", "quota"]
    )
