"""What one target of a provider tells the registry of the others, and what a reload lifts, in virtual time."""

from __future__ import annotations

import pytest

from state.faults import Fault, Scope
from state.messages import TargetsReplaced
from state.outcome import Outcome, ProbeKind
from state.record import Evidence
from state.standing import Standing
from state.targets import TargetName
from tests.rigs.evidence import TARGET, answered, attempt, failed, probed
from tests.rigs.registry_house import HOUSE_POLICY, OTHER, House, in_house
from tests.rigs.virtual_time import START

ELSEWHERE = TargetName("away/fast")
ALL = {TARGET: HOUSE_POLICY, OTHER: HOUSE_POLICY, ELSEWHERE: HOUSE_POLICY}


def test_a_host_that_is_gone_is_gone_for_all_its_targets_and_for_no_other() -> None:
    """Three refused connections of one model eject the provider's others too, each with its own row."""

    async def scene(house: House) -> None:
        await house.say(*(failed(START + second, Fault.UNREACHABLE) for second in range(3)))
        targets = house.snapshots()[-1].targets
        assert [targets[each].standing for each in ALL] == [Standing.COOLING, Standing.COOLING, Standing.UNPROVEN]
        assert [targets[each].fell_on for each in (TARGET, OTHER)] == [Fault.UNREACHABLE, Fault.UNREACHABLE]
        assert len(house.standings()) == 2

    in_house(scene, targets=ALL)


@pytest.mark.parametrize(("fault", "scope"), [(Fault.AUTH, None), (Fault.QUOTA, Scope.CREDENTIAL)])
def test_a_reload_lifts_what_a_mended_key_or_a_paid_bill_makes_good(fault: Fault, scope: Scope | None) -> None:
    """The provider's other models are stopped with it, and all of them go on after the reload."""

    async def scene(house: House) -> None:
        await house.say(attempt(Outcome(fault=fault, reaches=scope), START + 1))
        stopped = house.snapshots()[-1].targets
        until = [stopped[each].refused_until or stopped[each].blocked_until for each in ALL]
        assert [each is not None for each in until] == [True, True, False]
        await house.say(TargetsReplaced(targets=ALL))
        lifted = house.snapshots()[-1].targets
        assert not any(lifted[each].refused_until or lifted[each].blocked_until for each in ALL)

    in_house(scene, targets=ALL)


def test_a_reload_lifts_no_limit_of_the_moment() -> None:
    """A 429 is not mended by another configuration."""

    async def scene(house: House) -> None:
        await house.say(failed(START + 1, Fault.RATE_LIMITED))
        await house.say(TargetsReplaced(targets=ALL))
        assert house.newest().blocked_by is Fault.RATE_LIMITED

    in_house(scene, targets=ALL)


@pytest.mark.parametrize("proof", [answered(START + 3), probed(ProbeKind.CANARY, START + 3)])
@pytest.mark.parametrize(("fault", "scope"), [(Fault.AUTH, None), (Fault.QUOTA, Scope.CREDENTIAL)])
def test_a_key_that_is_shown_to_work_at_one_target_works_at_all(
    fault: Fault, scope: Scope | None, proof: Evidence
) -> None:
    """Also where an answer to an earlier request comes first: that one proves nothing, and hides nothing."""

    async def scene(house: House) -> None:
        await house.say(attempt(Outcome(fault=fault, reaches=scope), START + 1))
        await house.say(answered(START + 1.05))
        stopped = house.snapshots()[-1].targets
        assert all(stopped[each].refused_until or stopped[each].blocked_until for each in (TARGET, OTHER))
        await house.say(proof)
        proved = house.snapshots()[-1].targets
        assert not any(proved[each].refused_until or proved[each].blocked_until for each in ALL)

    in_house(scene, targets=ALL)


@pytest.mark.parametrize("fault", [Fault.AUTH, Fault.QUOTA, Fault.MODEL_NOT_FOUND])
def test_what_was_sent_before_a_reload_was_refused_by_what_is_gone(fault: Fault) -> None:
    """The old key's last refusals say nothing of the new key; its own do."""

    async def scene(house: House) -> None:
        await house.until(START + 10)
        await house.say(TargetsReplaced(targets=ALL))
        late = attempt(Outcome(fault=fault, reaches=Scope.CREDENTIAL), START + 10.5, took=1.0)
        await house.say(late)
        seen = house.snapshots()[-1].targets
        assert not any(seen[each].refused_until or seen[each].blocked_until for each in ALL)
        await house.say(attempt(Outcome(fault=fault, reaches=Scope.CREDENTIAL), START + 12))
        seen = house.snapshots()[-1].targets
        assert all(seen[each].refused_until or seen[each].blocked_until for each in (TARGET, OTHER))

    in_house(scene, targets=ALL)
