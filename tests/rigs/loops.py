"""Both event loops that fairlead may run on: what works on one can fail on the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

__all__ = ["EVERY_LOOP", "on_loop"]

EVERY_LOOP = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def on_loop(loop: str, main: Callable[[], Awaitable[None]]) -> None:
    """Run `main` on the named loop, for ten seconds at most."""

    async def bounded() -> None:
        with anyio.fail_after(10):
            await main()

    anyio.run(bounded, backend_options={"use_uvloop": loop == "uvloop"})
