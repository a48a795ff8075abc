"""Laws of the registry, in virtual time: what it publishes, what it records, when it wakes."""

from __future__ import annotations

import math

import anyio
import structlog
from structlog.testing import capture_logs

from state.faults import Fault
from state.history.rows import OperationRow, ProbeRow, TransitionRow
from state.mailbox import Reply
from state.messages import DrainRequested, RegistryMessage, TargetsReplaced
from state.outcome import ProbeKind
from state.policy import HealthPolicy
from state.remembered import Remembered
from state.standing import Standing
from state.targets import TargetName
from tests.rigs.evidence import TARGET, answered, failed, probed
from tests.rigs.registry_house import HOUSE_POLICY, OTHER, House, in_house
from tests.rigs.virtual_time import START


def three_faults(at: float) -> list[RegistryMessage]:
    """Return what ejects a target at `at`."""
    return [failed(at, took=0.0), failed(at, took=0.0), failed(at, took=0.0)]


def test_a_first_snapshot_comes_before_any_evidence() -> None:
    """The dispatcher can choose from the start: every target is there, unproven."""

    async def scene(house: House) -> None:
        (snapshot,) = house.snapshots()
        assert (snapshot.revision, snapshot.at) == (1, START)
        assert {target: seen.standing for target, seen in snapshot.targets.items()} == {
            TARGET: Standing.UNPROVEN,
            OTHER: Standing.UNPROVEN,
        }
        assert house.rows() == []

    in_house(scene)


def test_a_batch_is_published_once_and_unchanged_targets_are_the_same_objects() -> None:
    """Fifty outcomes that wait together make one snapshot; who was not concerned is not looked at again."""

    async def scene(house: House) -> None:
        first = house.snapshots()[-1]
        await house.say(*(answered(START + 1 + number / 100) for number in range(50)))
        (second,) = house.snapshots()
        assert second.revision == 2
        assert second.targets[TARGET].samples == 50
        assert second.targets[OTHER] is first.targets[OTHER]
        assert first.targets[TARGET].standing is Standing.UNPROVEN, "a published snapshot never changes"

    in_house(scene)


def test_nothing_is_published_where_nothing_can_be_seen_to_change() -> None:
    """A client that left, or news of a target that is gone, publishes and records nothing."""

    async def scene(house: House) -> None:
        house.snapshots()
        await house.say(failed(START + 1, Fault.CANCELLED), answered(START + 1, target=TargetName("gone/gone")))
        assert (house.snapshots(), house.rows()) == ([], [])

    in_house(scene)


def test_an_outage_goes_its_way_through_all_standings() -> None:
    """Ejected, on trial by the clock alone, ejected for longer, on trial, healthy; each step recorded once."""

    async def scene(house: House) -> None:
        await house.say(answered(START), *three_faults(START))
        seen = house.newest()
        assert (seen.standing, seen.cause) == (Standing.COOLING, "3 timeouts in a row")
        assert seen.until is not None
        await house.until(seen.until)
        (snapshot,) = house.snapshots()
        assert snapshot.targets[TARGET].standing is Standing.PROBATION
        assert snapshot.at >= seen.until
        await house.say(failed(snapshot.at, took=0.0))
        again = house.newest()
        assert again.until is not None
        assert again.until - again.since > seen.until - seen.since
        await house.until(again.until)
        await house.say(answered(again.until + 1))
        assert house.newest().standing is Standing.HEALTHY
        cooling, trial, healthy = Standing.COOLING, Standing.PROBATION, Standing.HEALTHY
        rows = [row for row in house.rows() if isinstance(row, TransitionRow)]
        assert [(row.before, row.after) for row in rows] == [
            (Standing.UNPROVEN, healthy),
            (healthy, cooling),
            (cooling, trial),
            (trial, cooling),
            (cooling, trial),
            (trial, healthy),
        ]
        assert [row.ejections for row in rows] == [0, 1, 1, 2, 2, 2]
        assert [row.until is not None for row in rows] == [row.after is cooling for row in rows]
        assert [row.at for row in rows] == sorted(row.at for row in rows)

    in_house(scene)


def test_no_step_is_left_out_of_the_history() -> None:
    """A trial that is reported together with the end of its cooldown still follows it."""

    async def scene(house: House) -> None:
        await house.say(*three_faults(START))
        house.rows()
        until = house.newest().until or math.inf
        await house.say(answered(until + 1))
        assert house.standings() == [(Standing.COOLING, Standing.PROBATION), (Standing.PROBATION, Standing.HEALTHY)]

    in_house(scene)


def test_an_hour_of_outage_ends_within_one_longest_cooldown() -> None:
    """Every trial fails for an hour; the first that succeeds brings the target back, at most 60 s later."""

    async def scene(house: House) -> None:
        await house.say(*three_faults(START))
        trials = 0
        while anyio.current_time() < START + 3600:
            seen = house.newest()
            assert seen.until is not None
            await house.until(seen.until)
            await house.say(failed(anyio.current_time(), Fault.OVERLOADED, took=0.0))
            trials += 1
        assert 60 <= trials <= 75
        over = anyio.current_time()
        await house.until(house.newest().until or math.inf)
        await house.say(answered(anyio.current_time(), took=0.0))
        assert house.newest().standing is Standing.HEALTHY
        assert anyio.current_time() - over <= 60

    in_house(scene)


def test_a_registry_with_nothing_to_wait_for_sleeps() -> None:
    """In an idle day it publishes only that the latencies have aged."""

    async def scene(house: House) -> None:
        await house.say(answered(START), probed(ProbeKind.CATALOG, START, took=0.2))
        house.snapshots()
        await house.until(START + 86400)
        published = house.snapshots()
        assert [snapshot.at - START for snapshot in published] == [45.0, 450.0]
        assert published[-1].targets[TARGET].expected_s == 0.2

    in_house(scene)


def test_each_probe_is_recorded_also_one_of_a_target_that_is_gone() -> None:
    """A probe that was made was made."""

    async def scene(house: House) -> None:
        probes = [probed(ProbeKind.LIVENESS, START + 1), probed(ProbeKind.CANARY, START + 2, Fault.AUTH)]
        await house.say(TargetsReplaced(targets={}), *probes)
        assert [(row.kind, row.at, row.outcome) for row in house.rows() if isinstance(row, ProbeRow)] == [
            (probe.kind, probe.at, probe.outcome) for probe in probes
        ]

    in_house(scene)


def test_a_reload_keeps_what_is_known_of_the_targets_that_stay() -> None:
    """Standing and drain stay, the new policy judges from now on, the others come fresh or go."""

    async def scene(house: House) -> None:
        new = TargetName("lab/new")
        await house.say(answered(START + 1), DrainRequested(target=TARGET, by="ops", reply=Reply()))
        await house.say(TargetsReplaced(targets={TARGET: HealthPolicy(fall=1), new: HOUSE_POLICY}))
        targets = house.snapshots()[-1].targets
        assert set(targets) == {TARGET, new}
        assert (targets[TARGET].standing, targets[TARGET].drained) == (Standing.HEALTHY, True)
        assert targets[new].standing is Standing.UNPROVEN
        await house.say(failed(START + 9))
        assert house.newest().standing is Standing.COOLING

    in_house(scene)


def test_a_target_that_left_is_forgotten_with_its_timers() -> None:
    """Its cooldown ends unnoticed, and when it comes back it is new."""

    async def scene(house: House) -> None:
        await house.say(*three_faults(START))
        await house.say(TargetsReplaced(targets={OTHER: HOUSE_POLICY}))
        assert set(house.snapshots()[-1].targets) == {OTHER}
        await house.until(START + 600)
        assert house.snapshots() == []
        await house.say(TargetsReplaced(targets={OTHER: HOUSE_POLICY, TARGET: HOUSE_POLICY}))
        assert house.newest().standing is Standing.UNPROVEN

    in_house(scene, Remembered(target=TARGET, standing=Standing.HEALTHY))


def test_a_restart_publishes_what_it_remembers() -> None:
    """A cooldown that has time left goes on; one that ended meanwhile is a trial, and recorded as such."""
    left = Remembered(target=TARGET, standing=Standing.COOLING, since=START - 5, until=START + 5, ejections=1)
    ended = Remembered(
        target=OTHER, standing=Standing.COOLING, since=START - 90, until=START - 30, drained=True, drained_until=START
    )

    async def scene(house: House) -> None:
        (snapshot,) = house.snapshots()
        assert snapshot.targets[TARGET].until == START + 5
        assert snapshot.targets[OTHER].standing is Standing.PROBATION
        assert snapshot.targets[OTHER].ready
        first, second = house.rows()
        assert isinstance(first, TransitionRow)
        assert (first.target, first.at, first.after) == (OTHER, START - 30, Standing.PROBATION)
        assert isinstance(second, OperationRow)
        assert (second.verb, second.by) == ("resume", "fairlead")
        await house.until(START + 5)
        assert house.standings() == [(Standing.COOLING, Standing.PROBATION)]

    in_house(scene, left, ended)


def test_a_full_mailbox_drops_evidence_and_the_registry_says_so() -> None:
    """What was lost is counted in the log, and the registry goes on."""
    structlog.reset_defaults()

    async def scene(house: House) -> None:
        house.snapshots()
        with capture_logs() as logs:
            await house.say(*(answered(START + 1) for _ in range(10)))
        assert {"event": "evidence_dropped", "log_level": "warning", "count": 6} in logs
        assert house.newest().samples == 4

    in_house(scene, capacity=4)


def test_changes_of_standing_are_logged_in_the_contracts_words() -> None:
    """One event per change: target, before, after, cause, cooldown."""
    structlog.reset_defaults()

    async def scene(house: House) -> None:
        with capture_logs() as logs:
            await house.say(*three_faults(START))
        (event,) = logs
        cooldown = event.pop("cooldown_s")
        assert 9 <= cooldown <= 11
        assert event == {
            "event": "standing_changed",
            "log_level": "warning",
            "target": TARGET,
            "before": "unproven",
            "after": "cooling",
            "cause": "3 timeouts in a row",
        }

    in_house(scene)
