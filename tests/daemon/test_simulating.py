"""The recorded history through another configuration: what is avoided, what stays, and what nobody can know."""

from __future__ import annotations

import math
import time
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.whatif.neighbours import Basis
from daemon.whatif.report import coverage, members_of
from daemon.whatif.rerun import Rerun
from daemon.whatif.tally import Latencies
from state.faults import Fault
from state.history.journeys import Journeys
from tests.rigs.whatif import Go, Leg, configured, outage, simulated, written


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a history of 300 requests, 60 of which failed, beside 300 of another workload."""
    return written(tmp_path_factory.mktemp("h") / "history.sqlite", outage())


def test_without_the_failing_target_exactly_the_recorded_failures_are_avoided(history: Path, tmp_path: Path) -> None:
    """What one target failed, its neighbour answered to others within the minute."""
    tally = simulated(history, configured(tmp_path, targets=["two/m"])).workloads["chat"]
    assert (tally.before.failures, tally.after.failures) == (60, 0)
    assert tally.bases == {Basis.NEIGHBOURS: 300}
    assert tally.after.latencies.quantile(0.5) == pytest.approx(0.2, rel=0.02)
    assert (tally.first_before, tally.first_after) == ({"one/m": 300}, {"two/m": 300})


def test_the_same_configuration_changes_nothing(history: Path, tmp_path: Path) -> None:
    """No failure is avoided, no share is different, and everything rests on what was recorded."""
    total = simulated(history, configured(tmp_path)).total
    assert total.bases == {Basis.RECORDED: 600}
    assert total.before.failures == total.after.failures == 60
    assert total.before.attempts == total.after.attempts == 600
    assert total.first_before == total.first_after
    assert total.before.latencies.quantile(0.95) == total.after.latencies.quantile(0.95)


def test_a_second_attempt_saves_what_the_next_target_would_have_answered(history: Path, tmp_path: Path) -> None:
    """`next_step` goes on by the new rules: the failed attempt's time is spent, and then the neighbour's."""
    tally = simulated(history, configured(tmp_path, max_attempts=2)).workloads["chat"]
    assert (tally.before.failures, tally.after.failures) == (60, 0)
    assert tally.after.attempts == 360
    assert tally.after.latencies.quantile(1.0) == pytest.approx(0.3, rel=0.02)
    assert tally.bases == {Basis.RECORDED: 240, Basis.NEIGHBOURS: 60}


def test_another_health_policy_ejects_what_the_recorded_one_kept(tmp_path: Path) -> None:
    """The recorded faults are folded by the new policy: after three of them the target is passed over."""
    saved = outage(legs_after=(Leg("two/m", None, 0.2),))
    history = written(tmp_path / "history.sqlite", saved)
    same = simulated(history, configured(tmp_path, max_attempts=2)).workloads["chat"]
    assert (same.after.attempts, same.bases) == (360, {Basis.RECORDED: 300})
    strict = simulated(history, configured(tmp_path, max_attempts=2, fall=3)).workloads["chat"]
    assert strict.after.failures == 0
    assert 303 <= strict.after.attempts < 320
    assert strict.bases[Basis.OWN] > 40


def test_a_target_that_nobody_was_sent_to_is_said_to_be_unknown(history: Path, tmp_path: Path) -> None:
    """Nothing is claimed of it: it is left out, counted, and named."""
    findings = simulated(history, configured(tmp_path, targets=["new/m"]))
    tally = findings.workloads["chat"]
    assert (tally.compared, tally.bases) == (0, {Basis.UNKNOWN: 300})
    assert findings.unasked == {"new/m": 300}
    told = "\n".join(coverage(findings))
    assert "50.0 % unknown and left out" in told
    assert "new/m (300)" in told
    sums = members_of(findings)["workloads"]["chat"]
    assert sums["failures_avoided"] is sums["expected"]["latency_p50_ms"] is sums["expected"]["cost_usd"] is None
    assert sums["first_target"]["new/m"] == {"recorded": 0, "expected": 300}


def test_where_no_neighbour_is_near_the_hour_speaks_with_its_shares(tmp_path: Path) -> None:
    """A quarter of the hour's attempts failed: a quarter of each request does, and no more is claimed."""
    began = (time.time() // 3600 - 1) * 3600
    early = [Go(float(at), (Leg("one/m"),)) for at in range(40)]
    faults = [Fault.TIMEOUT if at % 4 == 0 else None for at in range(40)]
    late = [Go(1800.0 + at, (Leg("two/m", fault, 0.3),), workload="aside") for at, fault in enumerate(faults)]
    history = written(tmp_path / "history.sqlite", [*early, *late], began)
    tally = simulated(history, configured(tmp_path, targets=["two/m"]), 9000.0).workloads["chat"]
    assert tally.bases == {Basis.HOUR: 40}
    assert tally.after.failures == pytest.approx(10.0)
    assert tally.after.latencies.quantile(0.5) == pytest.approx(0.3, rel=0.02)


def test_streamed_answers_say_nothing_of_whole_ones(tmp_path: Path) -> None:
    """An answer that shows its first token takes another time than one that comes in a piece."""
    asked = [Go(float(at), (Leg("one/m"),)) for at in range(20)]
    streams = [Go(at + 0.5, (Leg("two/m", streamed=True),), workload="aside") for at in range(20)]
    history = written(tmp_path / "history.sqlite", sorted([*asked, *streams], key=lambda go: go.at))
    tally = simulated(history, configured(tmp_path, targets=["two/m"])).workloads["chat"]
    assert tally.bases == {Basis.UNKNOWN: 20}


def test_what_was_wrong_with_the_request_itself_is_not_judged_elsewhere(tmp_path: Path) -> None:
    """A neighbour's success does not make an invalid request valid."""
    bad = [Go(float(at), (Leg("one/m", Fault.INVALID_REQUEST),)) for at in range(10)]
    aside = [Go(at + 0.5, (Leg("two/m"),), workload="aside") for at in range(10)]
    history = written(tmp_path / "history.sqlite", sorted([*bad, *aside], key=lambda go: go.at))
    same = simulated(history, configured(tmp_path)).workloads["chat"]
    assert (same.bases, same.after.failures) == ({Basis.RECORDED: 10}, 10)
    elsewhere = simulated(history, configured(tmp_path, targets=["two/m"])).workloads["chat"]
    assert elsewhere.bases == {Basis.UNKNOWN: 10}


def test_a_workload_that_the_configuration_lacks_is_refused(tmp_path: Path) -> None:
    """Nothing has that name: every request for it would be told so."""
    history = written(tmp_path / "history.sqlite", [Go(0.0, (Leg("one/m"),), workload="gone")])
    tally = simulated(history, configured(tmp_path)).workloads["gone"]
    assert (tally.bases, tally.after.failures, tally.first_after) == ({Basis.RULES: 1}, 1, {None: 1})


def test_a_history_three_times_as_long_takes_no_more_memory(tmp_path: Path) -> None:
    """What is held is what happened within two minutes."""
    peaks = []
    configuration = load((configured(tmp_path),), {})
    for count in (1000, 3000):
        every = [Go(float(at), (Leg("one/m" if at % 2 else "two/m"),)) for at in range(count)]
        with closing(Journeys(written(tmp_path / f"{count}.sqlite", every))) as journeys:
            rerun = Rerun(configuration, journeys)
            tracemalloc.start()
            assert max(len(rerun.neighbours) for _ in rerun.results(7200.0)) < 500
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_quantiles_of_the_sketch_are_one_percent_off_at_most() -> None:
    """As in the history's own roll-ups."""
    sketch = Latencies()
    for number in range(1, 1001):
        sketch.add(number / 100, 1.0)
    assert sketch.quantile(0.5) == pytest.approx(5.0, rel=0.011)
    assert sketch.quantile(0.95) == pytest.approx(9.5, rel=0.011)
    assert Latencies().quantile(0.5) is None
    assert not math.isnan(sketch.quantile(1.0) or math.nan)
