"""Laws of the cooldown's length, and of how long ejections are remembered."""

from __future__ import annotations

import pytest

from state.durations import Seconds
from state.health import cooldown_s, fold
from state.policy import CooldownPolicy, HealthPolicy
from state.record import Record
from state.standing import Standing
from state.targets import TargetName
from tests.rigs.evidence import TARGET, answered, failed

POLICY = HealthPolicy()


def test_ejections_are_forgotten_after_the_longest_cooldown_in_health() -> None:
    """A relapse soon after grows the cooldown; one after `cooldown.max` of health starts from the base."""
    well = fold(Record(target=TARGET, standing=Standing.PROBATION, since=11.0, ejections=1), answered(20.0), POLICY)
    assert well.ejections == 1
    for pause, ejections in ((30.0, 2), (59.0, 2), (60.0, 1), (3600.0, 1)):
        record = well
        for part in (0.0, 0.1, 0.2):
            record = fold(record, failed(20.0 + pause - 0.2 + part), POLICY)
        assert (record.standing, record.ejections) == (Standing.COOLING, ejections), pause


def test_cooldowns_double_up_to_the_longest() -> None:
    """Within a tenth of base, twice the base …; never beyond the longest, however often; the same at each call."""
    policy = HealthPolicy(cooldown=CooldownPolicy(base=Seconds(2), max=Seconds(50)))
    for name in ("a/b", "c/d", "openai/gpt-5"):
        lengths = [cooldown_s(TargetName(name), count, policy) for count in (0, 1, 2, 3, 4, 5, 99, 10**6)]
        for length, whole in zip(lengths, (2, 4, 8, 16, 32, 50, 50, 50), strict=True):
            assert 0.9 * whole <= length <= min(1.1 * whole, 50)
        assert lengths == sorted(lengths)
    assert cooldown_s(TargetName("openai/gpt-5"), 0, POLICY) == pytest.approx(1.0855704), "the same in every process"
    assert len({cooldown_s(TargetName(f"p/{number}"), 0, policy) for number in range(50)}) == 50
