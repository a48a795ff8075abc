"""`fairlead` with an actor that hangs once a file exists: `python -m tests.rigs.saboteur ACTOR FILE serve ...`.

For the tests of the watchdog with a real process: the actor serves, and from then on waits for what never comes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import anyio

from daemon.assembly import Assembly, Runs
from daemon.cli.main import main

__all__ = ["sabotage"]


class _Hangs:
    """An actor, until it hangs."""

    def __init__(self, actor: Runs, sign: Path) -> None:
        self._actor = actor
        self._sign = sign

    async def run(self) -> None:
        """Serve, then hang."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._actor.run)
            while not self._sign.exists():  # noqa: ASYNC110 - another process makes it
                await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()
        await anyio.sleep_forever()


def sabotage(actor: str, sign: Path) -> None:
    """Have `actor` hang in every daemon of this process once `sign` exists."""
    actors = Assembly.actors.fget
    assert actors is not None

    def sabotaged(self: Assembly) -> Mapping[str, Runs]:
        every = actors(self)
        return {**every, actor: _Hangs(every[actor], sign)}

    Assembly.actors = property(sabotaged)  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    sabotage(sys.argv[1], Path(sys.argv[2]))
    sys.exit(main(sys.argv[3:]))
