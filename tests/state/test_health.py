"""The rules of standing, one table or example each. Over all histories: test_health_laws.py."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from state.faults import FAULT_RULES, Blame, Fault, HealthEffect
from state.health import cooldown_s, fold, tick
from state.messages import AttemptCompleted, ProbeCompleted
from state.outcome import Outcome, ProbeKind
from state.policy import HealthPolicy
from state.record import Record, next_wake, view
from state.returning import trials_needed
from state.standing import Standing
from tests.rigs.evidence import TARGET, answered, attempt, failed, probed

POLICY = HealthPolicy()
SURFACE = (ProbeKind.LIVENESS, ProbeKind.CATALOG)
EJECTS = [fault for fault, rule in FAULT_RULES.items() if rule.health is HealthEffect.EJECTS]
OTHERS = [fault for fault, rule in FAULT_RULES.items() if rule.health is HealthEffect.NOTHING]


def after(*evidence: AttemptCompleted | ProbeCompleted, policy: HealthPolicy = POLICY, **start: object) -> Record:
    """Return the record that `evidence` leads to."""
    record = Record(target=TARGET, **start)
    for piece in evidence:
        record = fold(record, piece, policy)
    return record


def healthy(since: float = 0.0) -> Record:
    """Return a target that answered once."""
    return after(answered(since + 0.1))


def cooling(at: float = 10.0) -> Record:
    """Return a target that was ejected at `at`."""
    return after(answered(1.0), failed(at - 0.2), failed(at - 0.1), failed(at))


def on_trial() -> Record:
    """Return a target whose first cooldown is over."""
    record = cooling()
    return tick(record, POLICY, record.until)


def test_a_new_target_is_unproven_and_ready() -> None:
    """Nobody waits for a first probe."""
    seen = view(Record(target=TARGET, since=5.0), 6.0)
    assert (seen.standing, seen.ready, seen.cause, seen.expected_s) == (Standing.UNPROVEN, True, "not tried yet", None)


@pytest.mark.parametrize("evidence", [answered(1.0), probed(ProbeKind.CANARY, 1.0)])
def test_the_first_success_proves_a_target(evidence: AttemptCompleted | ProbeCompleted) -> None:
    """A request or a canary that succeeded makes an unproven target healthy, and is a latency sample."""
    seen = view(after(evidence), 1.0)
    assert (seen.standing, seen.since, seen.samples, seen.success_ratio) == (Standing.HEALTHY, 1.0, 1, 1.0)


@pytest.mark.parametrize("kind", SURFACE)
def test_a_listing_proves_nothing_but_how_far_away_a_target_is(kind: ProbeKind) -> None:
    """A passing liveness or catalog probe leaves a target unproven and gives a weak latency."""
    seen = view(after(probed(kind, 1.0, took=0.25)), 1.0)
    assert (seen.standing, seen.expected_s, seen.samples) == (Standing.UNPROVEN, 0.25, 0)
    assert after(probed(kind, 1.0, took=0.25), probed(kind, 2.0, took=0.0)).probe_s == 0.25


@pytest.mark.parametrize("fault", EJECTS)
def test_consecutive_faults_eject(fault: Fault) -> None:
    """`fall` faults in a row that are the provider's start the cooldown; one fewer does not."""
    record = after(answered(1.0), failed(2.0, fault), failed(3.0, fault))
    assert record.standing is Standing.HEALTHY
    record = fold(record, failed(4.0, fault), POLICY)
    assert record.standing is Standing.COOLING
    assert record.cause.startswith("3 ")
    assert record.cause.endswith(" in a row")
    assert record.until == 4.0 + cooldown_s(TARGET, 0, POLICY)
    assert view(record, 4.0).ready is False


def test_an_unproven_target_can_be_ejected() -> None:
    """A target that has never worked cools too."""
    assert after(failed(1.0), failed(2.0), failed(3.0)).standing is Standing.COOLING


def test_a_success_ends_the_run_of_faults() -> None:
    """Only faults in a row count towards `fall`."""
    run = (failed(2.0), failed(3.0), answered(4.0), failed(5.0), failed(6.0))
    assert after(*run).standing is Standing.HEALTHY
    assert after(answered(1.0), *run, policy=HealthPolicy(failure_ratio=0.9)).standing is Standing.HEALTHY


def test_many_failures_eject_even_with_successes_between() -> None:
    """`failure_ratio` of the window ejects, from `min_samples` on."""
    policy = HealthPolicy(fall=100)
    record = after(failed(1.0), answered(2.0), failed(3.0), failed(4.0), answered(5.0), policy=policy, since=0.0)
    assert record.standing is Standing.HEALTHY
    stays = fold(record, answered(6.0), policy)
    assert stays.standing is Standing.HEALTHY
    record = fold(fold(stays, failed(7.0), policy), failed(8.0), policy)
    assert (record.standing, record.cause) == (Standing.COOLING, "5 of 8 failed in 45s")


def test_exactly_the_ratio_is_enough() -> None:
    """Three of five are 0.6; two of four are not."""
    policy = HealthPolicy(fall=100, min_samples=4)
    record = after(answered(1.0), answered(2.0), failed(3.0), failed(4.0), policy=policy)
    assert record.standing is Standing.HEALTHY
    assert fold(record, failed(5.0), policy).standing is Standing.COOLING


def test_failures_before_the_window_do_not_count() -> None:
    """A failure a minute ago says nothing about the share of now."""
    policy = HealthPolicy(fall=100)
    old = [failed(float(second)) for second in range(1, 6)]
    assert after(*old, failed(7.0), policy=policy).standing is Standing.COOLING
    assert after(*old, failed(70.0), policy=policy).standing is Standing.UNPROVEN


@pytest.mark.parametrize("fault", OTHERS)
def test_the_faults_of_others_change_no_standing(fault: Fault) -> None:
    """Neither a wrong key nor a request that does not suit is the target's failure."""
    record = healthy()
    for second in range(1, 20):
        record = fold(record, failed(float(second), fault), POLICY)
    assert record.standing is Standing.HEALTHY
    assert record.block == healthy().block
    assert view(record, 20.0).success_ratio == 1.0
    assert record.last_fault == (None if FAULT_RULES[fault].blame is Blame.CALLER else fault)


@pytest.mark.parametrize("record", [Record(target=TARGET), healthy(), cooling(), on_trial()])
def test_a_client_that_left_is_nobodys_fault(record: Record) -> None:
    """A cancelled request changes nothing at all, in any standing."""
    assert fold(record, failed(50.0, Fault.CANCELLED), POLICY) is record


@pytest.mark.parametrize("kind", SURFACE)
def test_who_cannot_be_reached_cannot_serve(kind: ProbeKind) -> None:
    """Failing liveness and catalog probes eject an idle target; a passing one ends their run."""
    down = [probed(kind, float(second), Fault.UNREACHABLE) for second in (10, 20, 30)]
    assert after(*down).cause == "3 connection failures in a row"
    assert after(*down[:2], probed(kind, 25.0), down[2]).standing is Standing.UNPROVEN


@pytest.mark.parametrize("kind", SURFACE)
def test_a_passing_listing_excuses_no_failed_request(kind: ProbeKind) -> None:
    """A provider that lists its models and fails its requests is ejected all the same."""
    record = after(failed(1.0), probed(kind, 1.5), failed(2.0), probed(kind, 2.5), failed(3.0))
    assert (record.standing, record.cause) == (Standing.COOLING, "3 timeouts in a row")


def test_listings_do_not_enter_the_share_of_failures() -> None:
    """Their successes prove nothing, so their failures may not tip the share either."""
    policy = HealthPolicy(fall=100)
    flaky = [probed(ProbeKind.CATALOG, float(second), Fault.TIMEOUT) for second in range(1, 30)]
    assert after(*flaky, policy=policy).standing is Standing.UNPROVEN


def test_nothing_shortens_or_lengthens_a_running_cooldown() -> None:
    """While it cools, neither faults nor late successes nor probes move its end."""
    record = cooling()
    late = answered(10.2, took=9.0)
    pieces = (failed(10.1), late, *(probed(kind, 10.3, Fault.TIMEOUT) for kind in ProbeKind))
    for piece in pieces:
        seen = fold(record, piece, POLICY)
        assert (seen.standing, seen.since, seen.until, seen.ejections, seen.outcomes) == (
            Standing.COOLING,
            record.since,
            record.until,
            record.ejections,
            record.outcomes,
        )


def test_a_cooldown_ends_at_its_time_and_not_before() -> None:
    """At `until` the target is on trial, since then."""
    record = cooling()
    assert tick(record, POLICY, math.nextafter(record.until, 0.0)) is record
    trial = tick(record, POLICY, record.until + 3.0)
    assert (trial.standing, trial.since, trial.until) == (Standing.PROBATION, record.until, math.inf)
    assert view(trial, record.until + 3.0).ready


def test_evidence_finds_a_cooldown_that_is_over_already_over() -> None:
    """Folding lets time pass first: the result does not depend on who looked in between."""
    record = cooling()
    trial = answered(record.until + 2.0)
    assert fold(record, trial, POLICY) == fold(tick(record, POLICY, record.until + 1.0), trial, POLICY)
    assert fold(record, trial, POLICY).standing is Standing.HEALTHY


def test_a_successful_trial_readmits() -> None:
    """`rise` requests that succeed make a target on trial healthy."""
    record = fold(on_trial(), answered(20.0), POLICY)
    assert (record.standing, record.cause, record.since) == (Standing.HEALTHY, "answered", 20.0)


def test_a_canary_vouches_and_only_a_request_readmits() -> None:
    """Before the end of a cooldown a canary that succeeds puts a target on trial, where the next request decides."""
    record = cooling()
    vouched = fold(record, probed(ProbeKind.CANARY, record.since + 0.5), POLICY)
    assert (vouched.standing, vouched.vouched) == (Standing.PROBATION, True)
    assert fold(vouched, probed(ProbeKind.CANARY, vouched.since + 1.0), POLICY).standing is Standing.PROBATION
    assert fold(vouched, answered(vouched.since + 1.0), POLICY).standing is Standing.HEALTHY


def test_a_canary_that_lied_is_believed_less() -> None:
    """Where a canary passed and the request then failed, the next cooldown is longer, and later more trials needed."""
    record = cooling()
    for lies in range(1, 5):
        record = fold(record, probed(ProbeKind.CANARY, record.since + 0.5), POLICY)
        before = record.ejections
        record = fold(record, failed(record.since + 1.0), POLICY)
        assert (record.standing, record.mistrust, record.ejections) == (Standing.COOLING, lies, before + 2)
    assert trials_needed(record, POLICY) == POLICY.rise + 2


def test_a_returned_target_starts_slowly() -> None:
    """After its trial it may have two requests at once, then twice as many for each success that filled the limit."""
    record = fold(on_trial(), answered(20.0), POLICY)
    limits = [record.limit]
    for second in range(21, 30):
        answer = answered(float(second))
        record = fold(record, replace(answer, in_flight=max(1, record.limit)), POLICY)
        limits.append(record.limit)
    assert limits == [2, 4, 8, 16, 32, 0, 0, 0, 0, 0]


def test_a_readmitted_target_starts_with_a_clean_sheet() -> None:
    """The failures that ejected it do not eject it again with the first new one."""
    policy = HealthPolicy(min_samples=2)
    record = after(failed(1.0), failed(1.1), failed(1.2), policy=policy)
    record = fold(record, answered(record.until + 0.5), policy)
    record = fold(record, failed(record.since + 0.5), HealthPolicy(min_samples=3))
    assert (record.standing, record.outcomes.values) == (Standing.HEALTHY, (True, False))


def test_rise_asks_for_successes_in_a_row() -> None:
    """With `rise` 3, two are not enough."""
    policy = HealthPolicy(rise=3)
    record = fold(fold(on_trial(), answered(20.0), policy), answered(21.0), policy)
    assert record.standing is Standing.PROBATION
    record = fold(record, answered(22.0), policy)
    assert (record.standing, record.cause) == (Standing.HEALTHY, "3 trials succeeded")


@pytest.mark.parametrize("kind", SURFACE)
def test_a_listing_never_readmits(kind: ProbeKind) -> None:
    """A hundred passing listings leave a target on trial."""
    record = on_trial()
    for second in range(20, 120):
        record = fold(record, probed(kind, float(second)), POLICY)
    assert record.standing is Standing.PROBATION


@pytest.mark.parametrize(
    ("evidence", "cause"),
    [
        (attempt(Outcome(fault=Fault.OVERLOADED, status=529), 20.0), "trial failed: overloaded (529)"),
        (attempt(Outcome(fault=Fault.SERVER_ERROR, status=500), 20.0), "trial failed: server error (500)"),
        (probed(ProbeKind.CANARY, 20.0, Fault.TIMEOUT), "trial failed: timeout"),
        (probed(ProbeKind.LIVENESS, 20.0, Fault.UNREACHABLE), "probe failed: unreachable"),
    ],
)
def test_one_fault_on_trial_ejects_again_for_longer(evidence: AttemptCompleted | ProbeCompleted, cause: str) -> None:
    """The next cooldown is the doubled one."""
    record = fold(on_trial(), evidence, POLICY)
    assert (record.standing, record.cause, record.ejections) == (Standing.COOLING, cause, 2)
    assert record.until == 20.0 + cooldown_s(TARGET, 1, POLICY)


def test_what_was_sent_before_the_standing_says_nothing_of_it() -> None:
    """Late answers neither readmit, nor eject again, nor lengthen the cooldown; their latency is still true."""
    trial = on_trial()
    assert fold(trial, answered(20.0, took=19.0), POLICY).standing is Standing.PROBATION
    assert fold(trial, failed(20.0, took=19.0), POLICY).standing is Standing.PROBATION
    record = fold(trial, answered(20.0, took=1.0), POLICY)
    for second in range(21, 40):
        record = fold(record, failed(float(second), took=30.0), POLICY)
    assert (record.standing, record.ejections) == (Standing.HEALTHY, 1)
    assert view(fold(trial, answered(20.0, took=19.0), POLICY), 20.0).samples == 2


@pytest.mark.parametrize(
    ("faults", "fall", "cause"),
    [
        ([Fault.TIMEOUT] * 3, 3, "3 timeouts in a row"),
        ([Fault.UNREACHABLE] * 2, 2, "2 connection failures in a row"),
        ([Fault.TIMEOUT, Fault.SERVER_ERROR, Fault.TIMEOUT], 3, "3 faults in a row"),
        ([Fault.BAD_REPLY], 1, "bad reply"),
    ],
)
def test_the_cause_is_short_and_human(faults: list[Fault], fall: int, cause: str) -> None:
    """It names what happened, and mixed faults as such."""
    policy = HealthPolicy(fall=fall)
    assert after(*(failed(1.0 + count, fault) for count, fault in enumerate(faults)), policy=policy).cause == cause


def test_an_idle_target_forgets_its_latencies() -> None:
    """After ten windows without a request, only the latest probe is left to compare by."""
    record = after(answered(10.0, took=2.0), probed(ProbeKind.CATALOG, 11.0, took=0.2))
    assert view(record, 400.0).expected_s == 2.0
    idle = tick(record, POLICY, 460.0)
    assert (view(idle, 460.0).expected_s, view(idle, 460.0).samples) == (0.2, 0)
    assert next_wake(idle) == math.inf
