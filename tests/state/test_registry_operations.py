"""What operators ask of the registry: draining and resuming, in virtual time."""

from __future__ import annotations

from state.history.rows import OperationRow
from state.mailbox import Reply
from state.messages import DrainRequested, ResumeRequested
from state.targets import TargetName
from tests.rigs.evidence import TARGET
from tests.rigs.registry_house import House, in_house
from tests.rigs.virtual_time import START


def test_a_drain_is_answered_published_recorded_and_ends_by_itself() -> None:
    """The operator's words are in the history, and so is the end that nobody asked for."""

    async def scene(house: House) -> None:
        reply = Reply[bool]()
        until = START + 1800
        await house.say(DrainRequested(target=TARGET, by="deploy", reason="upgrade", until=until, reply=reply))
        assert await reply.wait() is True
        seen = house.newest()
        assert (seen.drained, seen.drained_until, seen.drain_reason, seen.ready) == (True, until, "upgrade", False)
        await house.until(until)
        assert house.newest().ready
        assert house.rows() == [
            OperationRow(at=START, verb="drain", target=TARGET, by="deploy", reason="upgrade", until=until),
            OperationRow(at=until, verb="resume", target=TARGET, by="fairlead", reason="drain expired"),
        ]

    in_house(scene)


def test_an_operator_resumes() -> None:
    """`resume` ends a drain that has no end of its own."""

    async def scene(house: House) -> None:
        drained, resumed = Reply[bool](), Reply[bool]()
        await house.say(DrainRequested(target=TARGET, by="ops", reply=drained))
        await house.until(START + 86400)
        assert not house.newest().ready
        await house.say(ResumeRequested(target=TARGET, by="ops", reply=resumed))
        assert await resumed.wait() is True
        assert house.newest().ready
        assert [row.verb for row in house.rows() if isinstance(row, OperationRow)] == ["drain", "resume"]

    in_house(scene)


def test_operations_on_unknown_targets_are_refused() -> None:
    """The reply is False, and nothing is recorded."""

    async def scene(house: House) -> None:
        drained, resumed, gone = Reply[bool](), Reply[bool](), TargetName("no/such")
        await house.say(
            DrainRequested(target=gone, by="ops", reply=drained), ResumeRequested(target=gone, by="ops", reply=resumed)
        )
        assert (await drained.wait(), await resumed.wait()) == (False, False)
        assert house.rows() == []

    in_house(scene)
