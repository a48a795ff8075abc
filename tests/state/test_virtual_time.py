"""Laws of the virtual clock that other tests stand on."""

from __future__ import annotations

import anyio
import pytest

from tests.rigs.virtual_time import START, Deadlocked, run_virtual


def test_an_hour_of_sleep_moves_the_clock_by_an_hour() -> None:
    """Sleeping moves the virtual clock by exactly the time slept; that it costs no time is seen by this test ending."""

    async def main() -> float:
        await anyio.sleep(3600)
        return anyio.current_time()

    assert run_virtual(main) == START + 3600


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    """Timers fire by time, whatever the order they were set in."""
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await anyio.sleep(seconds)
        woken.append(anyio.current_time() - START)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for seconds in (30.0, 0.5, 86400.0 * 3, 7.0):
                group.start_soon(sleeper, seconds)

    run_virtual(main)
    assert woken == [0.5, 7.0, 30.0, 86400.0 * 3]


def test_a_deadline_ends_a_wait_for_ever_at_its_time() -> None:
    """Cancel scopes live on the same clock."""

    async def main() -> float:
        with anyio.move_on_after(42) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        return anyio.current_time() - START

    assert run_virtual(main) == 42


def test_waiting_for_what_nobody_will_do_fails_instead_of_hanging() -> None:
    """With no timer and nothing ready, the loop says that it is deadlocked, and when."""

    async def main() -> None:
        await anyio.sleep(5)
        await anyio.Event().wait()

    with pytest.raises(Deadlocked, match="at 5 s of virtual time"):
        run_virtual(main)
