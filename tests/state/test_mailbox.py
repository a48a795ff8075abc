"""Laws of mailboxes, addresses and replies."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.mailbox import Mailbox, Reply
from tests.rigs.virtual_time import START, Deadlocked, run_virtual


def test_posting_needs_no_loop_and_no_reader() -> None:
    """`post` is synchronous and never waits."""
    mailbox = Mailbox[int]()
    assert all(mailbox.address.post(number) for number in range(1000))
    assert len(mailbox) == 1000


@given(st.lists(st.integers()), st.integers(1, 20))
def test_messages_come_out_in_the_order_they_went_in(numbers: list[int], capacity: int) -> None:
    """What a bounded mailbox holds is the oldest, in order; what it refused is counted, once."""
    mailbox = Mailbox[int](capacity)
    taken = [mailbox.address.post(number) for number in numbers]
    kept = numbers[:capacity]
    assert taken == [True] * len(kept) + [False] * (len(numbers) - len(kept))
    assert mailbox.take_all() == kept
    assert mailbox.take_dropped() == len(numbers) - len(kept)
    assert mailbox.take_dropped() == 0
    assert mailbox.address.post(7), "room again after taking"


def test_a_mailbox_shows_what_waits_and_what_it_dropped() -> None:
    """Its repr is for whoever debugs an actor that does not keep up."""
    mailbox = Mailbox[int](1)
    mailbox.put(1)
    mailbox.put(2)
    assert repr(mailbox) == "<Mailbox waiting=1 capacity=1 dropped=1>"


def test_next_returns_the_oldest_and_leaves_the_rest() -> None:
    """`next` takes exactly one."""

    async def main() -> None:
        mailbox = Mailbox[str]()
        mailbox.put("a")
        mailbox.put("b")
        assert await mailbox.next() == "a"
        assert mailbox.take_all() == ["b"]

    run_virtual(main)


def test_a_reader_wakes_when_a_message_comes() -> None:
    """A waiting reader gets the message at the moment it was posted."""

    async def main() -> None:
        mailbox = Mailbox[str]()

        async def poster() -> None:
            await anyio.sleep(10)
            mailbox.address.post("late")

        async with anyio.create_task_group() as group:
            group.start_soon(poster)
            assert await mailbox.next() == "late"
            assert anyio.current_time() == START + 10

    run_virtual(main)


def test_a_cancelled_wait_for_arrival_loses_nothing() -> None:
    """A reader whose wait timed out finds every message that came later, and can wait again."""

    async def main() -> None:
        mailbox = Mailbox[int]()
        for number in range(5):
            with anyio.move_on_after(1):
                await mailbox.arrival()
            mailbox.put(number)
        await mailbox.arrival()
        assert mailbox.take_all() == [0, 1, 2, 3, 4]

    run_virtual(main)


def test_a_message_that_comes_as_the_wait_is_cancelled_is_kept() -> None:
    """Arrival and cancellation in the same moment: the reader has the message, or the mailbox still has it."""

    async def main() -> None:
        mailbox = Mailbox[int]()
        read: list[int] = []

        async def reader() -> None:
            read.append(await mailbox.next())

        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(reader)
                await anyio.lowlevel.checkpoint()
                mailbox.put(1)
                scope.cancel()
        assert read + mailbox.take_all() == [1]

    run_virtual(main)


def test_an_empty_mailbox_keeps_its_reader_waiting() -> None:
    """`arrival` returns for no other reason than a message."""

    async def main() -> None:
        await Mailbox[int]().arrival()

    with pytest.raises(Deadlocked):
        run_virtual(main)


def test_a_reply_reaches_its_asker_before_and_after_it_waits() -> None:
    """The answer stays, whether the asker already waits or comes later."""

    async def main() -> None:
        reply = Reply[int]()
        assert not reply.sent
        async with anyio.create_task_group() as group:
            group.start_soon(reply.wait)
            await anyio.lowlevel.checkpoint()
            reply.send(3)
        assert reply.sent
        assert await reply.wait() == 3

    run_virtual(main)


def test_a_second_reply_is_a_bug_and_changes_nothing() -> None:
    """Sending twice raises; the first answer stands."""

    async def main() -> None:
        reply = Reply[str]()
        reply.send("first")
        with pytest.raises(RuntimeError, match="already been sent"):
            reply.send("second")
        assert await reply.wait() == "first"

    run_virtual(main)


def test_an_answer_to_an_asker_that_left_harms_nobody() -> None:
    """The actor may reply although the wait was cancelled."""

    async def main() -> None:
        reply = Reply[str]()
        with anyio.move_on_after(1):
            await reply.wait()
        reply.send("too late")
        assert reply.sent

    run_virtual(main)
