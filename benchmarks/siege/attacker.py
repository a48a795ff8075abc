"""The attackers' own process: `python -m benchmarks.siege.attacker NAME SECONDS PORT SOCKET`, told about as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys
from collections import Counter
from typing import Final

import uvloop

from benchmarks.siege.attacks import ATTACKS, Attack, Connect, Pipe, Tally

__all__ = ["main"]

_NICE: Final = 10
"""The attackers' CPU is not the daemon's to answer for."""
_RAMP_S: Final = 2.0
"""All are there after so long."""


async def _attack(attack: Attack, connects: list[Connect], seconds: float, tally: Tally) -> None:
    # An attacker that is cancelled while it is reset is nothing to tell: what it says is read as its tally.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    tasks = []
    for number in range(attack.at_once):
        tasks.append(asyncio.create_task(_again(attack, connects[number % len(connects)], tally)))
        if number % max(1, attack.at_once // 100) == 0:
            await asyncio.sleep(_RAMP_S / 100)
    await asyncio.sleep(max(0.0, seconds - _RAMP_S))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _again(attack: Attack, connect: Connect, tally: Tally) -> None:
    while True:
        try:
            pipe = await connect()
        except OSError as error:
            tally[f"not connected: {type(error).__name__}"] += 1
            await asyncio.sleep(attack.rest_s)
            continue
        tally["connected"] += 1
        try:
            await attack.once(pipe, tally)
        except (OSError, asyncio.IncompleteReadError) as error:
            tally[type(error).__name__] += 1
        finally:
            with contextlib.suppress(OSError, RuntimeError):
                pipe[1].transport.abort()
        await asyncio.sleep(attack.rest_s)


def main() -> int:
    """Attack for the time, and print what came of it."""
    name, seconds, port, path = sys.argv[1:]
    os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    tally: Tally = Counter()

    async def over_tcp() -> Pipe:
        return await asyncio.open_connection("127.0.0.1", int(port))

    async def over_unix() -> Pipe:
        return await asyncio.open_unix_connection(path)

    ways = {"tcp": over_tcp, "unix": over_unix}
    attack = ATTACKS[name]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_attack(attack, [ways[door] for door in attack.doors], float(seconds), tally))
    print(json.dumps(tally))
    return 0


if __name__ == "__main__":
    sys.exit(main())
