"""The end of the process: no request and no row is dropped within its time, and what is cut off is told so."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final

import anyio
import msgspec
import structlog

from daemon.assembly import Assembly
from daemon.doors.serving import Servers
from daemon.logs.configuring import end_log
from daemon.service.notify import Notifier
from daemon.service.orders import Orders
from daemon.service.status_line import draining_line
from daemon.service.watchdog import Watchdog

__all__ = ["Farewell", "end", "leave_threads"]

_log = structlog.get_logger("fairlead")
_FLUSH_S: Final = 5.0
_LAST_WORDS_S: Final = 2.0
"""What is cut off is told so: longer than a relay gives a client that does not read."""
_BEAT_S: Final = 1.0
_EXTENSION_S: Final = 10.0
"""How much more time each beat asks of the service manager: enough for all that comes after the last of them."""
_THREADS_S: Final = 0.25
"""What threads get to end by themselves."""


class Farewell(msgspec.Struct, frozen=True):
    """Who is spoken to at the end."""

    notifier: Notifier
    orders: Orders
    watchdog: Watchdog


async def end(assembly: Assembly, servers: Servers, farewell: Farewell) -> None:
    """Close the doors, finish the requests for at most `drain_grace`, and write the rows that wait."""
    notifier, front = farewell.notifier, assembly.front
    grace = float(assembly.in_force.configuration.daemon.drain_grace)
    notifier.stopping(draining_line(front.under_way, grace))
    await servers.close_doors()
    with anyio.move_on_after(grace) as waiting:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_hurry_up, farewell.orders, waiting)
            tasks.start_soon(_count_down, notifier, lambda: front.under_way, anyio.current_time() + grace)
            await front.empty()
            tasks.cancel_scope.cancel()
    notifier.extend(_EXTENSION_S, "writing the history")
    if waiting.cancelled_caught:
        _log.warning("requests_cut_off", drain_grace_s=grace)
        assembly.curfew.fall()
        with anyio.move_on_after(_LAST_WORDS_S):
            await front.empty()
    farewell.watchdog.watch({})  # they end from now on
    assembly.shadows.close()
    await servers.close()
    await assembly.wires.aclose()
    with anyio.move_on_after(_FLUSH_S) as flushing:
        await assembly.recorder.close()
    if flushing.cancelled_caught:
        _leave(assembly, notifier)


async def _hurry_up(orders: Orders, waiting: anyio.CancelScope) -> None:
    """Let a second signal end the waiting."""
    await orders.hurry.wait()
    waiting.cancel()


async def _count_down(notifier: Notifier, under_way: Callable[[], int], until: float) -> None:
    """Ask for more time to stop while requests are finished, so that a short TimeoutStopSec= cuts none of them."""
    while True:
        notifier.extend(_EXTENSION_S, draining_line(under_way(), until - anyio.current_time()))
        await anyio.sleep(_BEAT_S)


def _leave(assembly: Assembly, notifier: Notifier) -> None:
    """End without the rows that a dead disk does not take: its thread would hold the process, and a restart, up."""
    state = assembly.recorder.state
    _log.error("history_not_flushed", unsaved_rows=state.unsaved_rows, reason=state.cause)
    notifier.failed(f"ended without writing {state.unsaved_rows} rows of history: {state.cause}", 0)
    notifier.flush()
    end_log()
    os._exit(1)


def leave_threads() -> None:
    """End the process where a thread still waits for a disk: the interpreter would wait for it, perhaps for ever."""
    until = time.monotonic() + _THREADS_S
    waiting = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    for thread in waiting:
        thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() and not thread.daemon for thread in waiting):
        _log.warning("threads_left_behind", remedy="look at the disk of the history, the configuration and the keys")
        end_log()
        os._exit(0)
