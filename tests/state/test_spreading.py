"""What a fault at one target says of the provider's other targets: the host's and the key's, and nothing more."""

from __future__ import annotations

import pytest

from state.faults import FAULT_RULES, Fault, HealthEffect, Scope
from state.health import fold
from state.neighbours import hear
from state.outcome import Outcome, ProbeKind
from state.policy import HealthPolicy
from state.record import Record, view
from state.standing import Standing
from state.targets import TargetName
from tests.rigs.evidence import TARGET, answered, attempt, failed, probed

POLICY = HealthPolicy()
HEALTHY = fold(Record(target=TARGET), answered(1.0), POLICY)


def heard(fault: Fault, times: int, **more: object) -> Record:
    """Return the record of a healthy target that heard of `fault` at its neighbour so often."""
    record = HEALTHY
    for second in range(2, 2 + times):
        record = hear(record, attempt(Outcome(fault=fault, **more), float(second)), POLICY)
    return record


@pytest.mark.parametrize("fault", [fault for fault, rule in FAULT_RULES.items() if rule.scope is Scope.HOST])
def test_a_host_that_cannot_be_reached_ejects_all_its_targets(fault: Fault) -> None:
    """Three connection failures are three, whichever model was asked."""
    assert heard(fault, 2).standing is Standing.HEALTHY
    assert heard(fault, 3).standing is Standing.COOLING


def test_one_request_that_tries_every_model_ejects_none_of_them() -> None:
    """It fails at each within a moment: that is one piece of news for each, and its own failure."""
    names = [TargetName(f"lab/{name}") for name in ("one", "two", "three")]
    records = {name: Record(target=name) for name in names}
    for place, tried in enumerate(names):
        evidence = failed(2.0 + 0.1 * place, Fault.UNREACHABLE, took=0.05, target=tried)
        for name, record in records.items():
            records[name] = fold(record, evidence, POLICY) if name == tried else hear(record, evidence, POLICY)
    assert {record.standing for record in records.values()} == {Standing.UNPROVEN}


def test_what_is_heard_many_times_in_a_second_is_heard_once() -> None:
    """However many requests fail at the neighbour at once; a second later it is news again."""
    record = HEALTHY
    for tenth in range(20, 40):
        record = hear(record, failed(tenth / 10, Fault.UNREACHABLE), POLICY)
    assert (record.standing, record.surface_faults) == (Standing.HEALTHY, 2)


def test_a_neighbours_answer_forgives_what_was_only_heard() -> None:
    """Connection failures far apart, with answers in between, eject nobody."""
    record = hear(heard(Fault.UNREACHABLE, 2), answered(5.0), POLICY)
    assert hear(record, failed(6.0, Fault.UNREACHABLE), POLICY).standing is Standing.HEALTHY


def test_a_refused_key_is_refused_for_every_model_until_it_is_shown_to_work() -> None:
    """A 401 at one target is one at all of them; the catalog, or an answer, proves the key."""
    record = heard(Fault.AUTH, 1)
    assert (view(record, 3.0).refused_by, view(record, 3.0).blocked_until) == (Fault.AUTH, None)
    assert view(fold(record, probed(ProbeKind.LIVENESS, 4.0), POLICY), 4.0).refused_by is Fault.AUTH
    assert view(fold(record, probed(ProbeKind.CATALOG, 4.0), POLICY), 4.0).refused_by is None
    assert view(fold(record, answered(4.0), POLICY), 4.0).refused_by is None


def test_a_spent_account_blocks_every_model_and_a_models_own_limit_only_that_one() -> None:
    """What the money of a key pays for ends together; a limit per model does not."""
    assert heard(Fault.QUOTA, 1, reaches=Scope.CREDENTIAL).block.fault is Fault.QUOTA
    assert heard(Fault.QUOTA, 1) == HEALTHY


@pytest.mark.parametrize("fault", [Fault.AUTH, Fault.QUOTA])
def test_a_key_that_works_again_works_for_every_model(fault: Fault) -> None:
    """An answer to what was sent after the refusal ends what was heard of it; one sent earlier proves nothing."""
    record = heard(fault, 1, reaches=Scope.CREDENTIAL)
    assert hear(record, answered(2.05), POLICY) == record
    seen = view(hear(record, answered(4.0), POLICY), 4.0)
    assert (seen.refused_until, seen.blocked_until) == (None, None)


def test_a_neighbours_answer_ends_no_limit_of_the_target_itself() -> None:
    """Its own quota and its own rate limit are not the key's."""
    for fault in (Fault.QUOTA, Fault.RATE_LIMITED, Fault.PERMISSION):
        record = fold(HEALTHY, failed(3.0, fault), POLICY)
        assert hear(record, answered(5.0), POLICY) == record


@pytest.mark.parametrize("fault", [fault for fault, rule in FAULT_RULES.items() if rule.scope is Scope.TARGET])
def test_what_concerns_one_model_is_not_heard(fault: Fault) -> None:
    """An overloaded model says nothing of its neighbours."""
    assert heard(fault, 9) == HEALTHY


def test_an_overload_with_a_hint_waits_for_as_long_as_it_asks_and_no_longer_than_minutes() -> None:
    """It counts as a failure and blocks; no hint of a sick server is believed for a day."""
    assert FAULT_RULES[Fault.OVERLOADED].health is HealthEffect.EJECTS
    hinted = fold(HEALTHY, attempt(Outcome(fault=Fault.OVERLOADED, retry_after_s=7.0), 10.0), POLICY)
    assert (hinted.block.until, hinted.request_faults) == (17.0, 1)
    absurd = fold(HEALTHY, attempt(Outcome(fault=Fault.OVERLOADED, retry_after_s=86_400.0), 10.0), POLICY)
    assert absurd.block.until == 130.0
